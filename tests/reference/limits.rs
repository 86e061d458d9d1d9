//! The limits of the wire and of the module, with their reasons.

use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The limits before, by their names.
type Known = BTreeMap<String, u64>;

/// The value of an expression of numbers, limits before it, `<<`, `+` and `*`.
fn value(expression: &str, known: &Known) -> u64 {
    let factor = |text: &str| {
        let text = text.trim();
        known
            .get(text)
            .copied()
            .unwrap_or_else(|| text.replace('_', "").parse().expect("a number"))
    };
    if let Some((number, bits)) = expression.split_once("<<") {
        return factor(number) << factor(bits);
    }
    expression.split('+').map(|term| term.split('*').map(factor).product::<u64>()).sum()
}

fn with_thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn table(path: &str, page: &mut String) {
    page.push_str("| limit | value | what, and why |\n| --- | --- | --- |\n");
    let (mut reason, mut known) = (String::new(), Known::new());
    for line in crate::source(path).lines() {
        if let Some(words) = line.strip_prefix("///") {
            reason = format!("{reason}{words}");
        } else if let Some(rest) = line.strip_prefix("pub const ") {
            let (name, rest) = rest.split_once(':').unwrap();
            let expression = rest.split_once('=').unwrap().1.trim_end_matches(';');
            let what = reason.trim().replace("([`crate::frame`])", "").replace(" .", ".");
            let value = value(expression, &known);
            writeln!(page, "| `{name}` | {} | {what} |", with_thousands(value)).unwrap();
            known.insert(name.to_owned(), value);
            reason.clear();
        }
    }
}

fn page() -> String {
    let mut page = String::from(
        "# Limits\n\nEverything has a limit, checked early, and an error that names it.\n\n## The wire\n\n",
    );
    table("crates/protocol/src/limits.rs", &mut page);
    page.push_str("\n## The module\n\n");
    table("crates/hsm/src/limits.rs", &mut page);
    page.push_str(
        "\nThe daemon's own limits are keys of [hsmd.toml](../operate/configuration.md).\n",
    );
    page
}

#[test]
fn limits_are_those_of_the_code() {
    crate::check("limits.md", &page());
}

#[test]
fn expressions_have_values() {
    let known = Known::from([("DAY".to_owned(), 86_400)]);
    assert_eq!(value(" 65 << 20", &known), 68_157_440);
    assert_eq!(value("30 * 24 * 3_600_000", &known), 2_592_000_000);
    assert_eq!(value("DAY + 2 * 1_000", &known), 88_400);
    assert_eq!(with_thousands(1_234_567), "1,234,567");
}
