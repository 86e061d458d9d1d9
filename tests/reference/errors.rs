//! Every error, with its number, its retry class and its text.

use std::fmt::Write as _;

use casemate_protocol::{Error, Retry};

/// An argument that no text has by itself.
const ARGUMENT: u64 = 0x8765_4321_0fed;

fn page() -> String {
    let mut page = String::from(
        "# Errors\n\n\
         Every error that an HSM gives, with its number on the wire (never reused) and what a client may do about it.\n\
         The texts are those that the command line prints. `AfterMs` means: here again, after the time that the error names;\n\
         `Elsewhere`: at another HSM, or at this one when it is well. The client library does all of this by itself until the deadline of the call.\n\n\
         | code | error | retry | text |\n| --- | --- | --- | --- |\n",
    );
    for error in Error::every() {
        let error = Error::from_wire(error.code().0, ARGUMENT, error.to_wire().2);
        let name = format!("{error:?}");
        let name = name.split('(').next().unwrap();
        let retry = match error.retry() {
            Retry::Never => "Never",
            Retry::SameId => "SameId",
            Retry::AfterLogIn => "AfterLogIn",
            Retry::Elsewhere => "Elsewhere",
            Retry::AfterMs(_) => "AfterMs",
        };
        let text = error.to_string().replace(&ARGUMENT.to_string(), "…");
        let text = text.replace(&format!("{ARGUMENT:#x}"), "…");
        writeln!(page, "| {} | `{name}` | {retry} | {text} |", error.code().0).unwrap();
    }
    page
}

#[test]
fn errors_are_those_of_the_table() {
    crate::check("errors.md", &page());
}
