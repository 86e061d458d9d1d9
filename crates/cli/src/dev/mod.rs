//! `casemate dev …`: the product itself on loopback addresses, for development and tests.
//!
//! ```text
//! DIR/casemate.toml  customerCA.crt  customerCA.key        what clients and the customer have
//! DIR/hsm-1/hsmd.toml  data/  log  pid                     what the provider has
//! ```

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use casemate_client::{Client, Config};
use casemate_protocol::Role;
use casemate_protocol::messages::{Ask, Empty};
use serde_json::json;

use crate::arguments::{Dev, Mode, Up};
use crate::cluster;
use crate::error::{CliError, read, write};
use crate::output::Output;
use crate::user;

mod customer;
mod process;

use process::Hsm;

/// How long an HSM may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a command of the group.
pub(crate) fn run(command: Dev, output: &Output) -> Result<(), CliError> {
    match command {
        Dev::Up(arguments) => up(&arguments, output),
        Dev::Down(directory) => {
            all(&directory.dir)?.iter().try_for_each(Hsm::stop)?;
            output.result("stopped", json!("stopped"));
            Ok(())
        }
        Dev::Status(directory) => status(&directory.dir, output),
        Dev::Kill { number, directory } => {
            one(&directory.dir, number)?.kill()?;
            output.result(&format!("HSM {number} was killed"), json!({ "killed": number }));
            Ok(())
        }
        Dev::Start { number, directory } => {
            let hsm = one(&directory.dir, number)?;
            hsm.start()?;
            wait_until_ready(&hsm, &Config::load(&directory.dir.join("casemate.toml"))?)?;
            output.result(&format!("HSM {number} runs"), json!({ "started": number }));
            Ok(())
        }
        Dev::Wipe(directory) => {
            let hsms = all(&directory.dir)?;
            hsms.iter().try_for_each(Hsm::stop)?;
            std::fs::remove_dir_all(&directory.dir)?;
            output.result("wiped", json!("wiped"));
            Ok(())
        }
    }
}

fn all(directory: &Path) -> Result<Vec<Hsm>, CliError> {
    let hsms: Vec<Hsm> =
        (1..=28).map(|number| Hsm::at(directory, number)).filter(Hsm::exists).collect();
    if hsms.is_empty() {
        return Err(CliError::Failed(format!(
            "{} holds no cluster: `casemate dev up` makes one",
            directory.display()
        )));
    }
    Ok(hsms)
}

fn one(directory: &Path, number: u8) -> Result<Hsm, CliError> {
    let hsm = Hsm::at(directory, number);
    if hsm.exists() {
        Ok(hsm)
    } else {
        Err(CliError::Failed(format!("there is no HSM {number} in {}", directory.display())))
    }
}

fn status(directory: &Path, output: &Output) -> Result<(), CliError> {
    let hsms = all(directory)?;
    let state = |hsm: &Hsm| if hsm.running().is_some() { "running" } else { "stopped" };
    let lines: Vec<String> =
        hsms.iter().map(|hsm| format!("HSM {}  {}", hsm.number, state(hsm))).collect();
    let data: Vec<_> = hsms
        .iter()
        .map(|hsm| json!({ "hsm": hsm.number, "state": state(hsm), "pid": hsm.running() }))
        .collect();
    output.result(&lines.join("\n"), json!(data));
    Ok(())
}

fn password() -> String {
    // 100 bits in letters and digits without look-alikes.
    const LETTERS: &[u8; 32] = b"abcdefghjkmnpqrstuvwxyz234567892";
    let random = casemate_crypto::Secret::random(20);
    random.expose().iter().map(|byte| char::from(LETTERS[usize::from(byte % 32)])).collect()
}

fn wait_until_ready(hsm: &Hsm, config: &Config) -> Result<(), CliError> {
    let start = Instant::now();
    let client = Client::new(config.clone());
    loop {
        match client.call_within(Ask::Ping(Empty {}), Duration::from_millis(300)) {
            Ok(_) => return Ok(()),
            Err(error) if hsm.running().is_none() => {
                return Err(CliError::Failed(format!(
                    "HSM {} ended at once ({error}): {}",
                    hsm.number,
                    hsm.last_words()
                )));
            }
            Err(error) if start.elapsed() > PATIENCE => return Err(error.into()),
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn up(arguments: &Up, output: &Output) -> Result<(), CliError> {
    let directory = &arguments.directory.dir;
    let config_path = directory.join("casemate.toml");
    if config_path.exists() {
        for hsm in all(directory)? {
            hsm.start()?;
            wait_until_ready(&hsm, &Config::load(&config_path)?)?;
        }
        let text = format!(
            "the cluster runs\nexport CASEMATE_CONFIG={}",
            absolute(&config_path).display()
        );
        output.result(&text, json!({ "config": absolute(&config_path).display().to_string() }));
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    let address = format!("127.{}.1.1:2223", arguments.network);
    let hsm = Hsm::at(directory, 1);
    output.progress("starting the HSM");
    hsm.prepare(&address, arguments.mode == Mode::Fips)?;
    hsm.start()?;
    let bare = Config::uninitialized(&address);
    wait_until_ready(&hsm, &bare)?;
    output.progress("initialising the cluster");
    let cluster = initialize(directory, &bare, &address)?;
    let admin_password = arguments.admin_password.clone().unwrap_or_else(password);
    let user_password = arguments.user_password.clone().unwrap_or_else(password);
    output.progress("activating it");
    activate(directory, &config_path, &admin_password)?;
    let client = Client::new(Config::load(&config_path)?);
    client.log_in("admin", &admin_password, Some(Role::Admin))?;
    user::create(&client, "app", Role::CryptoUser, &user_password)?;
    client.log_out()?;
    say_what_next(&cluster, &config_path, (&admin_password, &user_password), output);
    Ok(())
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_error| path.to_owned())
}

fn initialize(directory: &Path, config: &Config, address: &str) -> Result<String, CliError> {
    let client = Client::new(config.clone());
    let csr = cluster::fetch_csr(&client)?;
    let id = cluster::check_csr(&csr.csr, None)?;
    let customer = customer::Customer::generate()?;
    let certificate = customer.sign(&csr.csr)?;
    cluster::hand_in(&client, &certificate, &customer.certificate)?;
    let status = cluster::fetch_status(&client)?;
    write(&directory.join("customerCA.crt"), customer.certificate.as_bytes())?;
    process::write_private(&directory.join("customerCA.key"), customer.key.as_bytes())?;
    let text = cluster::client_config(
        &id,
        &[address.to_owned()],
        "customerCA.crt",
        &status.cluster_key_sha256,
    );
    write(&directory.join("casemate.unfinished"), text.as_bytes())?;
    Ok(id)
}

fn activate(directory: &Path, config_path: &Path, password: &str) -> Result<(), CliError> {
    let unfinished = directory.join("casemate.unfinished");
    let client = Client::new(Config::load(&unfinished)?);
    let key = String::from_utf8_lossy(&read(&directory.join("customerCA.key"))?).into_owned();
    let certificate =
        String::from_utf8_lossy(&read(&directory.join("customerCA.crt"))?).into_owned();
    let sign = |statement: &[u8]| cluster::sign_statement(&key, statement).unwrap_or_default();
    client.activate(password, sign, &certificate)?;
    std::fs::rename(&unfinished, config_path)?;
    Ok(())
}

fn say_what_next(cluster: &str, config: &Path, passwords: (&str, &str), output: &Output) {
    let (admin, user) = passwords;
    let config = absolute(config).display().to_string();
    let text = format!(
        "{cluster} is ready: one HSM, not durable against its loss\n\n\
         admin        admin:{admin}\n\
         crypto user  app:{user}\n\n\
         Try next:\n  \
         export CASEMATE_CONFIG={config}\n  \
         export CASEMATE_ROLE=crypto-user CASEMATE_PIN=app:{user}\n  \
         casemate key generate-asymmetric-pair ec --curve prime256v1 --public-label demo --private-label demo\n  \
         casemate key list"
    );
    let data = json!({
        "cluster-id": cluster, "config": config,
        "admin": { "username": "admin", "password": admin },
        "crypto-user": { "username": "app", "password": user },
    });
    output.result(&text, data);
}
