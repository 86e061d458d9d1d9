//! `casemate cluster set-join-policy`: what an HSM must bring to be let in.

use std::path::Path;

use casemate_client::ClientError;
use casemate_protocol::messages::{
    Answer, Ask, ChangeSettings, JoinPolicy, Measurements, Register, Registers,
};
use serde_json::json;

use crate::arguments::{Policy, SetJoinPolicy};
use crate::credentials::log_in;
use crate::error::{CliError, read};
use crate::hex;
use crate::output::Output;

/// Runs it.
pub(crate) fn run(arguments: &SetJoinPolicy, output: &Output) -> Result<(), CliError> {
    let policy = match arguments.policy {
        Policy::Approved => JoinPolicy::Approved,
        Policy::Attested => JoinPolicy::Attested,
        Policy::Installation => JoinPolicy::Installation,
    };
    let measurements = match &arguments.attestation_authority {
        None => None,
        Some(authority) => {
            let good = arguments.good.iter().map(|path| registers(path));
            Some(Measurements {
                authority: certificate(authority)?,
                good: good.collect::<Result<_, _>>()?,
            })
        }
    };
    let client = log_in(None, output)?;
    let change = ChangeSettings { join_policy: Some(policy as u32), measurements };
    let Answer::Settings(settings) = client.call(Ask::ChangeSettings(change))? else {
        return Err(ClientError::Unexpected.into());
    };
    let name = JoinPolicy::from_number(settings.join_policy).map_or("unknown", JoinPolicy::name);
    output.result(&format!("the join policy is {name}"), json!({ "join-policy": name }));
    Ok(())
}

/// Reads the one certificate of a file, as DER.
fn certificate(path: &Path) -> Result<Vec<u8>, CliError> {
    let text = read(path)?;
    let found = x509_parser::pem::parse_x509_pem(&text).ok();
    let found = found.filter(|(_, pem)| pem.label == "CERTIFICATE");
    let none = || CliError::Failed(format!("{}: there is no certificate", path.display()));
    found.map(|(_, pem)| pem.contents).ok_or_else(none)
}

/// Reads what `tpm2_pcrread` prints.
fn registers(path: &Path) -> Result<Registers, CliError> {
    let text = read(path)?;
    parse(&String::from_utf8_lossy(&text)).map_err(|(line, cause)| {
        CliError::Failed(format!("{}, line {line}: {cause}", path.display()))
    })
}

/// Lines `index : 0xvalue` below `sha256:`; an error names its line.
fn parse(text: &str) -> Result<Registers, (usize, &'static str)> {
    let mut registers = Vec::new();
    for (number, line) in (1_usize..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line == "sha256:" {
            continue;
        }
        let parts = line.split_once(':').map(|(index, value)| (index.trim(), value.trim()));
        let index = parts.and_then(|(index, _)| index.parse().ok());
        let value = parts.and_then(|(_, value)| hex::decode(value.strip_prefix("0x")?));
        match (index, value) {
            (Some(index), Some(value)) if value.len() == 32 => {
                registers.push(Register { index, value });
            }
            _ => {
                return Err((
                    number,
                    "a register of the SHA-256 bank is written `7 : 0x…` with 64 hexadecimal digits",
                ));
            }
        }
    }
    registers.sort_by_key(|register: &Register| register.index);
    if registers.is_empty() {
        Err((1, "there is no register"))
    } else {
        Ok(Registers { registers })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tpm2_pcrread_prints_is_read() {
        let text =
            format!("  sha256:\n    7 : 0x{}\n    0 : 0x{}\n", "AB".repeat(32), "00".repeat(32));
        let read = parse(&text).unwrap().registers;
        assert_eq!(read.iter().map(|register| register.index).collect::<Vec<_>>(), [0, 7]);
        assert_eq!(read[1].value, [0xab; 32]);
    }

    #[test]
    fn what_is_no_register_is_refused_by_line() {
        let sha1 = format!("sha256:\n0 : 0x{}", "00".repeat(20));
        assert_eq!(parse(&sha1).unwrap_err().0, 2);
        assert_eq!(parse("sha1:\n").unwrap_err().0, 1);
        assert_eq!(parse("").unwrap_err().1, "there is no register");
        assert!(parse(&format!("0 : 0x{}zz", "0".repeat(62))).is_err());
    }
}
