//! The blocks of a page.

/// One command with what it must print.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Command {
    pub(crate) line: usize,
    pub(crate) text: String,
    pub(crate) output: Vec<String>,
}

/// One fenced block.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Block {
    pub(crate) commands: Vec<Command>,
}

/// Whether a line of a command goes on in the next one.
fn goes_on(command: &Command) -> bool {
    let ends = command.text.ends_with('\\');
    // A here-document goes on to its end.
    let here = command.text.split("<<").nth(1).and_then(|rest| rest.split_whitespace().next());
    let end = here.map(|word| word.trim_matches(['\'', '"', '-']));
    ends || end.is_some_and(|end| !command.text.lines().skip(1).any(|line| line == end))
}

fn read_block(kind: &str, lines: &[(usize, &str)]) -> Result<Block, String> {
    let mut commands: Vec<Command> = Vec::new();
    for &(line, text) in lines {
        if let Some(last) = commands.last_mut().filter(|last| goes_on(last)) {
            last.text = format!("{}\n{text}", last.text);
            continue;
        }
        let command = if kind == "sh" { Some(text) } else { text.strip_prefix("$ ") };
        match (command, commands.last_mut()) {
            (Some(""), _) => {}
            (Some(text), _) => {
                commands.push(Command { line, text: text.to_owned(), output: Vec::new() });
            }
            (None, Some(last)) => last.output.push(text.to_owned()),
            (None, None) => return Err(format!("line {line}: output before a command")),
        }
    }
    Ok(Block { commands })
}

/// Reads the blocks of a page, and refuses commands in a fence that is not run.
pub(crate) fn read_blocks(page: &str) -> Result<Vec<Block>, String> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, Vec<(usize, &str)>)> = None;
    for (index, line) in page.lines().enumerate() {
        let number = index + 1;
        match (line.strip_prefix("```"), open.as_mut()) {
            (Some(kind), None) => {
                if ["bash", "shell", "shell-session"].contains(&kind) {
                    return Err(format!("line {number}: a fence of `{kind}` is not run: say `sh`"));
                }
                open = Some((kind, Vec::new()));
            }
            (Some(_), Some(_)) => {
                let (kind, lines) = open.take().unwrap_or_default();
                if ["sh", "console"].contains(&kind) {
                    blocks.push(read_block(kind, &lines)?);
                } else if let Some((number, _)) =
                    lines.iter().find(|(_, text)| text.starts_with("$ "))
                {
                    return Err(format!("line {number}: a command in a fence that is not run"));
                }
            }
            (None, Some((_, lines))) => lines.push((number, line)),
            (None, None) => {}
        }
    }
    match open {
        Some((kind, _)) => Err(format!("a fence of `{kind}` does not end")),
        None => Ok(blocks),
    }
}

/// Whether a line is as expected, `…` standing for anything.
pub(crate) fn matches(expected: &str, line: &str) -> bool {
    let mut rest = line;
    let parts: Vec<_> = expected.trim_end().split('…').collect();
    for (index, part) in parts.iter().enumerate() {
        let found = match index {
            0 => rest.strip_prefix(part),
            _ if index + 1 == parts.len() => rest.ends_with(part).then_some(""),
            _ => rest.split_once(part).map(|(_, rest)| rest),
        };
        match found {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.trim_end().is_empty()
}

#[test]
fn blocks_are_read() {
    let page = "```console\n$ one \\\n  more\nout\n\n$ cat <<E >x\na\nE\n$ two\n```\n```sh\nthree\n\nfour\n```\n```toml\nx = 1\n```";
    let blocks = read_blocks(page).unwrap();
    let texts: Vec<Vec<_>> = blocks
        .iter()
        .map(|block| block.commands.iter().map(|command| command.text.as_str()).collect())
        .collect();
    assert_eq!(texts, [vec!["one \\\n  more", "cat <<E >x\na\nE", "two"], vec!["three", "four"]]);
    assert_eq!(blocks[0].commands[0].output, ["out", ""]);
    assert!(read_blocks("```\n$ x\n```").unwrap_err().contains("not run"));
    assert!(read_blocks("```bash\nx\n```").unwrap_err().contains("say `sh`"));
    assert!(read_blocks("```sh\nx").unwrap_err().contains("does not end"));
}

#[test]
fn an_ellipsis_stands_for_anything() {
    assert!(matches("key … made", "key 0x12 made") && matches("…", "") && matches("a", "a"));
    assert!(!matches("a", "ab") && !matches("a…b", "ac") && !matches("…b", "ba"));
}
