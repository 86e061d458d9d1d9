//! `casemate dev …`: the product itself on loopback addresses, for development and tests.
//!
//! ```text
//! DIR/casemate.toml  customerCA.crt  customerCA.key        what clients and the customer have
//! DIR/hsm-1/hsmd.toml  data/  log  pid                     what the provider has
//! ```

use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use casemate_client::{Client, Config};
use casemate_protocol::Role;
use casemate_protocol::messages::{Ask, Empty};
use serde_json::json;

use crate::arguments::{Dev, Mode, Up};
use crate::cluster;
use crate::error::{CliError, read, write};
use crate::members;
use crate::output::Output;
use crate::user;

mod customer;
mod process;
mod upgrade;

use process::Hsm;

/// The client's configuration, and its name until the cluster is whole.
const CONFIG: &str = "casemate.toml";
const UNFINISHED: &str = "casemate.unfinished";
/// What lies beside the HSMs.
const FILES: [&str; 4] = [CONFIG, UNFINISHED, "customerCA.crt", "customerCA.key"];

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
            wait_until_ready(&hsm, &config_of(&hsm, &directory.dir.join(CONFIG))?)?;
            output.result(&format!("HSM {number} runs"), json!({ "started": number }));
            Ok(())
        }
        Dev::Upgrade { directory, daemon, patience } => {
            let patience = Duration::from_secs(patience);
            upgrade::run(&directory.dir, daemon.as_deref(), patience, output)
        }
        Dev::Wipe(directory) => {
            all(&directory.dir)?;
            wipe(&directory.dir)?;
            output.result("wiped", json!("wiped"));
            Ok(())
        }
    }
}

/// Removes what `dev up` made, and nothing else: the directory may hold files of somebody's own.
fn wipe(directory: &Path) -> Result<(), CliError> {
    for hsm in present(directory) {
        hsm.stop()?;
        hsm.remove()?;
    }
    for name in FILES {
        match std::fs::remove_file(directory.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
    }
    match std::fs::remove_dir(std::fs::canonicalize(directory)?) {
        Err(error) if error.kind() != ErrorKind::DirectoryNotEmpty => Err(error.into()),
        _ => Ok(()),
    }
}

fn present(directory: &Path) -> impl Iterator<Item = Hsm> {
    (1..=28).map(|number| Hsm::at(directory, number)).filter(Hsm::exists)
}

fn all(directory: &Path) -> Result<Vec<Hsm>, CliError> {
    let hsms: Vec<Hsm> = present(directory).collect();
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
    let config_path = directory.join(CONFIG);
    if config_path.exists() {
        output.progress("starting the cluster");
        let hsms = all(directory)?;
        // All at once: one of several is nothing alone.
        hsms.iter().try_for_each(Hsm::start)?;
        for hsm in &hsms {
            wait_until_ready(hsm, &config_of(hsm, &config_path)?)?;
        }
        let config = absolute(&config_path).display().to_string();
        let text = format!(
            "the cluster runs; its users and keys are those it had\n\n\
             Try next:\n  export CASEMATE_CONFIG={config}\n  casemate cluster status"
        );
        output.result(&text, json!({ "config": config }));
        return Ok(());
    }
    // Without its configuration nobody has used it: an earlier `up` was cut short.
    if present(directory).next().is_some() {
        output.progress("removing a cluster that was never finished");
        wipe(directory)?;
    }
    for number in 1..=arguments.hsms {
        expect_free(&process::address(arguments.network, number))?;
    }
    std::fs::create_dir_all(directory)?;
    let made = make(arguments, output);
    if made.is_err() {
        // The cause is told; that an HSM cannot be stopped, too, would hide it.
        let _stopped = present(directory).try_for_each(|hsm| hsm.kill()).is_ok();
    }
    made
}

/// The configuration of a client that asks one HSM alone.
fn config_of(hsm: &Hsm, path: &Path) -> Result<Config, CliError> {
    let config = Config::load(path)?;
    Ok(Config { addresses: vec![hsm.address()?], ..config })
}

/// Makes a new cluster. Its configuration appears last, so that a cluster which has one is whole.
fn make(arguments: &Up, output: &Output) -> Result<(), CliError> {
    let directory = &arguments.directory.dir;
    let alone = arguments.hsms == 1;
    let hsms: Vec<Hsm> = (1..=arguments.hsms).map(|number| Hsm::at(directory, number)).collect();
    output.progress("starting the HSMs");
    for hsm in &hsms {
        hsm.prepare(arguments.network, alone, arguments.mode == Mode::Fips)?;
        hsm.choose_daemon(arguments.daemon.as_deref())?;
        hsm.start()?;
    }
    let address = process::address(arguments.network, 1);
    let bare = Config::uninitialized(&address);
    let first = Hsm::at(directory, 1);
    wait_until_ready(&first, &bare)?;
    output.progress("initialising the cluster");
    let addresses: Vec<String> =
        hsms.iter().map(|hsm| process::address(arguments.network, hsm.number)).collect();
    let cluster = initialize(directory, &bare, &addresses)?;
    let admin_password = arguments.admin_password.clone().unwrap_or_else(password);
    let user_password = arguments.user_password.clone().unwrap_or_else(password);
    output.progress("activating it");
    let unfinished = directory.join(UNFINISHED);
    let client = Client::new(config_of(&first, &unfinished)?);
    activate(directory, &client, &admin_password)?;
    client.log_in("admin", &admin_password, Some(Role::Admin))?;
    user::create(&client, "app", Role::CryptoUser, &user_password)?;
    if let [_, others @ ..] = hsms.as_slice() {
        output.progress("letting the other HSMs in");
        let_in(directory, &client, others, &unfinished)?;
    }
    client.log_out()?;
    let config = directory.join(CONFIG);
    std::fs::rename(&unfinished, &config)?;
    say_what_next((&cluster, arguments.hsms), &config, (&admin_password, &user_password), output);
    Ok(())
}

/// Lets HSMs in as they ask, and waits until each serves.
fn let_in(directory: &Path, admin: &Client, others: &[Hsm], config: &Path) -> Result<(), CliError> {
    let text = |name: &str| {
        Ok::<_, CliError>(String::from_utf8_lossy(&read(&directory.join(name))?).into_owned())
    };
    let (key, certificate) = (text("customerCA.key")?, text("customerCA.crt")?);
    let start = Instant::now();
    let mut left = others.len();
    while left > 0 {
        for request in members::joining(admin)? {
            members::add(admin, &request, (&key, &certificate))?;
            left -= 1;
        }
        if let Some(ended) = others.iter().find(|hsm| hsm.running().is_none()) {
            return Err(CliError::Failed(format!(
                "HSM {} ended at once: {}",
                ended.number,
                ended.last_words()
            )));
        }
        if start.elapsed() > PATIENCE {
            return Err(CliError::Failed(format!("{left} HSMs did not ask to be let in")));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    others.iter().try_for_each(|hsm| wait_until_ready(hsm, &config_of(hsm, config)?))
}

/// Refuses an address that somebody listens on: it would be another cluster that answers.
fn expect_free(address: &str) -> Result<(), CliError> {
    match TcpListener::bind(address) {
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(CliError::Failed(format!(
            "{address} is taken, perhaps by another cluster: choose another --network"
        ))),
        Err(cause) => Err(CliError::File { path: address.to_owned(), cause }),
        Ok(_) => Ok(()),
    }
}

fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_error| path.to_owned())
}

fn initialize(directory: &Path, config: &Config, addresses: &[String]) -> Result<String, CliError> {
    let client = Client::new(config.clone());
    let csr = cluster::fetch_csr(&client)?;
    let id = cluster::check_csr(&csr.csr, None)?;
    let customer = customer::Customer::generate()?;
    let certificate = customer.sign(&csr.csr)?;
    cluster::hand_in(&client, &certificate, &customer.certificate)?;
    let status = cluster::fetch_status(&client)?;
    write(&directory.join("customerCA.crt"), customer.certificate.as_bytes())?;
    process::write_private(&directory.join("customerCA.key"), customer.key.as_bytes())?;
    let text = cluster::client_config(&id, addresses, "customerCA.crt", &status.cluster_key_sha256);
    write(&directory.join(UNFINISHED), text.as_bytes())?;
    Ok(id)
}

fn activate(directory: &Path, client: &Client, password: &str) -> Result<(), CliError> {
    let key = String::from_utf8_lossy(&read(&directory.join("customerCA.key"))?).into_owned();
    let certificate =
        String::from_utf8_lossy(&read(&directory.join("customerCA.crt"))?).into_owned();
    let sign = |statement: &[u8]| cluster::sign_statement(&key, statement).unwrap_or_default();
    Ok(client.activate(password, sign, &certificate)?)
}

/// The PKCS#11 module of this installation: beside the program in a build, in a place of its own in a package.
fn pkcs11_module() -> Option<PathBuf> {
    const NAME: &str = "libcasemate_pkcs11.so";
    let program = std::env::current_exe().ok()?;
    let beside = program.parent()?.join(NAME);
    let packaged = Path::new("/usr/lib/casemate").join(NAME);
    [beside, packaged].into_iter().find(|path| path.exists())
}

fn say_what_next(
    (cluster, hsms): (&str, u8),
    config: &Path,
    passwords: (&str, &str),
    output: &Output,
) {
    let (admin, user) = passwords;
    let what = match hsms {
        1 => "one HSM, not durable against its loss".to_owned(),
        2 => "two HSMs; changes need both of them".to_owned(),
        more => format!("{more} HSMs, each in a zone of its own"),
    };
    let config = absolute(config).display().to_string();
    let module = pkcs11_module().map(|path| path.display().to_string());
    let pkcs11 = module.as_ref().map_or_else(String::new, |module| {
        format!("\n  pkcs11-tool --module {module} --login --pin app:{user} --list-objects")
    });
    let text = format!(
        "{cluster} is ready: {what}\n\n\
         admin        admin:{admin}\n\
         crypto user  app:{user}\n\n\
         Try next:\n  \
         export CASEMATE_CONFIG={config}\n  \
         export CASEMATE_ROLE=crypto-user CASEMATE_PIN=app:{user}\n  \
         casemate key generate-asymmetric-pair ec --curve prime256v1 --public-label demo --private-label demo\n  \
         casemate key list{pkcs11}"
    );
    let data = json!({
        "cluster-id": cluster, "config": config, "pkcs11-module": module,
        "admin": { "username": "admin", "password": admin },
        "crypto-user": { "username": "app", "password": user },
    });
    output.result(&text, data);
}
