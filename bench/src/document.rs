//! Puts the table into a document, between two marker lines.

use std::fs;
use std::path::Path;

use crate::error::Error;

const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

/// Replaces what stands between the markers in the file at `path` by `table`.
///
/// # Errors
/// [`Error::NoMarkers`], or that the file cannot be read or written.
pub(crate) fn write(path: &Path, table: &str) -> Result<(), Error> {
    let shown = path.display();
    let text = fs::read_to_string(path).map_err(Error::io(format!("cannot read {shown}")))?;
    let replaced = replace(&text, table).ok_or_else(|| Error::NoMarkers(path.to_path_buf()))?;
    fs::write(path, replaced).map_err(Error::io(format!("cannot write {shown}")))
}

fn replace(text: &str, table: &str) -> Option<String> {
    let (before, rest) = text.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n\n{}\n\n{END}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::replace;

    #[test]
    fn only_what_is_between_the_markers_changes() {
        let text = "one\n<!-- bench:begin -->\nold\n<!-- bench:end -->\ntwo\n";
        let wanted = "one\n<!-- bench:begin -->\n\nnew\n\n<!-- bench:end -->\ntwo\n";
        assert_eq!(replace(text, "new\n").as_deref(), Some(wanted));
        assert_eq!(replace(wanted, "new").as_deref(), Some(wanted));
    }

    #[test]
    fn a_document_without_markers_is_refused() {
        assert_eq!(replace("one\n<!-- bench:begin -->\n", "new"), None);
        assert_eq!(replace("<!-- bench:end --><!-- bench:begin -->", "new"), None);
    }
}
