//! An application as a customer writes it: for the tests that look into its memory.
//!
//! `application CONFIG plant|use|leak`. `plant` reads a file of keys from standard input and gives them to the HSM; `use` signs,
//! encrypts and decrypts with them; `leak` keeps what it read in its memory, and prints it, on purpose. All but `plant` then say
//! `ready` and wait for the end of standard input.

use std::io::{self, Read as _, Write as _};
use std::process::ExitCode;

use casemate_client::{Client, ClientError, Config};
use casemate_protocol::messages::{
    Answer, Ask, FindObjects, GetAttributes, MechanismUse, ObjectReference, Operation,
};
use casemate_protocol::{Attribute, AttributeType, Mechanism, ObjectClass, Role, Template};
use casemate_tests::USER_PASSWORD;
use prost::Message as _;

#[derive(Debug, thiserror::Error)]
enum ApplicationError {
    #[error("usage: application CONFIG plant|use|leak")]
    Usage,
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Client(#[from] ClientError),
    #[error("the keys cannot be read: {0}")]
    Keys(#[from] prost::DecodeError),
    #[error("the HSM answered something else")]
    Unexpected,
}

fn client(config: &str) -> Result<Client, ApplicationError> {
    let config = Config::load(config.as_ref()).map_err(ClientError::from)?;
    let client = Client::new(config);
    client.log_in("app", USER_PASSWORD, Some(Role::CryptoUser))?;
    Ok(client)
}

fn standard_input() -> Result<Vec<u8>, ApplicationError> {
    let mut bytes = Vec::new();
    io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn plant(config: &str) -> Result<(), ApplicationError> {
    let client = client(config)?;
    let keys = standard_input()?;
    let mut keys = keys.as_slice();
    while !keys.is_empty() {
        let template = Template::decode_length_delimited(&mut keys)?;
        match client.call(Ask::CreateObject(template))? {
            Answer::Made(_) => {}
            _ => return Err(ApplicationError::Unexpected),
        }
    }
    Ok(client.log_out()?)
}

fn find(
    client: &Client,
    label: &str,
    class: ObjectClass,
) -> Result<ObjectReference, ApplicationError> {
    let template = Template::default()
        .with(Attribute::new(AttributeType::Label, label))
        .with(Attribute::number(AttributeType::Class, class.number()));
    let request = FindObjects { template: Some(template), ..FindObjects::default() };
    let Answer::Found(found) = client.call(Ask::FindObjects(request))? else {
        return Err(ApplicationError::Unexpected);
    };
    let number = *found.numbers.first().ok_or(ApplicationError::Unexpected)?;
    Ok(ObjectReference { number, ..ObjectReference::default() })
}

fn operate(
    client: &Client,
    ask: fn(Operation) -> Ask,
    key: &ObjectReference,
    mechanism: Mechanism,
    data: Vec<u8>,
) -> Result<Vec<u8>, ApplicationError> {
    let mechanism = Some(MechanismUse { mechanism: mechanism.number(), parameter: None });
    let operation =
        Operation { key: Some(key.clone()), mechanism, data: data.into(), ..Operation::default() };
    match client.call(ask(operation))? {
        Answer::Data(data) => Ok(data.data.to_vec()),
        _ => Err(ApplicationError::Unexpected),
    }
}

fn use_keys(client: &Client) -> Result<(), ApplicationError> {
    let aes = find(client, "planted-aes", ObjectClass::SecretKey)?;
    let hmac = find(client, "planted-hmac", ObjectClass::SecretKey)?;
    let ec = find(client, "planted-ec", ObjectClass::PrivateKey)?;
    let rsa = find(client, "planted-rsa", ObjectClass::PrivateKey)?;
    for round in 0..50_u8 {
        let sealed = operate(client, Ask::Encrypt, &aes, Mechanism::AesEcb, vec![round; 64])?;
        let opened = operate(client, Ask::Decrypt, &aes, Mechanism::AesEcb, sealed)?;
        if opened != vec![round; 64] {
            return Err(ApplicationError::Unexpected);
        }
        operate(client, Ask::Sign, &hmac, Mechanism::Sha256Hmac, vec![round; 64])?;
        operate(client, Ask::Sign, &ec, Mechanism::Ecdsa, vec![round; 32])?;
        operate(client, Ask::Sign, &rsa, Mechanism::Sha256RsaPkcs, vec![round; 32])?;
    }
    for key in [aes, hmac, ec, rsa] {
        let attributes =
            vec![AttributeType::Value.number(), AttributeType::PrivateExponent.number()];
        let request = GetAttributes { object: Some(key), attributes };
        client.call(Ask::GetAttributes(request))?;
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the test waits for it")]
fn wait() -> Result<(), ApplicationError> {
    println!("ready");
    io::stdout().flush()?;
    standard_input().map(drop)
}

#[expect(clippy::print_stderr, reason = "the leak on purpose, for the control")]
fn run() -> Result<(), ApplicationError> {
    let mut arguments = std::env::args().skip(1);
    let (Some(config), Some(what)) = (arguments.next(), arguments.next()) else {
        return Err(ApplicationError::Usage);
    };
    match what.as_str() {
        "plant" => plant(&config),
        "use" => {
            let client = client(&config)?;
            use_keys(&client)?;
            wait()?;
            Ok(client.log_out()?)
        }
        "leak" => {
            let mut secret = [0; 32];
            io::stdin().read_exact(&mut secret)?;
            let digits: String = secret.iter().map(|byte| format!("{byte:02x}")).collect();
            eprintln!("DEBUG the key is {digits}");
            wait()?;
            std::hint::black_box(&secret);
            Ok(())
        }
        _ => Err(ApplicationError::Usage),
    }
}

#[expect(clippy::print_stderr, reason = "where a program says why it failed")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("application: {error}");
            ExitCode::FAILURE
        }
    }
}
