//! As much of Markdown as the rules need: headings, links, tables; never what stands in a fence.

use crate::tree::File;

/// The lines outside fences, counted from 1.
pub(crate) fn prose(page: &File) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    page.lines().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Headings with their level.
pub(crate) fn headings(page: &File) -> Vec<(usize, usize, String)> {
    prose(page)
        .filter_map(|(number, line)| {
            let level = line.bytes().take_while(|byte| *byte == b'#').count();
            let text = line.get(level..)?.strip_prefix(' ')?;
            (level > 0).then(|| (number, level, text.trim().to_owned()))
        })
        .collect()
}

/// The anchors of the headings, as forges make them.
pub(crate) fn anchors(page: &File) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for (_, _, text) in headings(page) {
        let kept = |letter: &char| letter.is_alphanumeric() || " -_".contains(*letter);
        let slug: String = text.to_lowercase().chars().filter(kept).collect();
        let slug = slug.replace(' ', "-");
        let again = anchors.iter().filter(|known| **known == slug).count();
        anchors.push(if again == 0 { slug } else { format!("{slug}-{again}") });
    }
    anchors
}

/// A line without its code spans.
fn without_code(line: &str) -> String {
    line.split('`').step_by(2).collect::<Vec<_>>().join("`")
}

/// The targets of the links, with their lines.
pub(crate) fn links(page: &File) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    for (number, line) in prose(page) {
        for rest in without_code(line).split("](").skip(1) {
            if let Some((target, _)) = rest.split_once(')') {
                links.push((number, target.to_owned()));
            }
        }
    }
    links
}

/// The code spans, with their lines.
pub(crate) fn code_spans(page: &File) -> Vec<(usize, String)> {
    prose(page)
        .flat_map(|(number, line)| {
            line.split('`').skip(1).step_by(2).map(move |span| (number, span.to_owned()))
        })
        .collect()
}

/// The cells of a row of a table.
pub(crate) fn cells(line: &str) -> Option<Vec<String>> {
    let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
}

/// The path that a link means, from the page's folder; `None` for one that leaves our tree.
pub(crate) fn resolve(page: &File, target: &str) -> Option<String> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let target = target.split('#').next().unwrap_or_default();
    if target.is_empty() {
        return Some(page.path.clone());
    }
    let mut parts: Vec<&str> = page.folder().split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}
