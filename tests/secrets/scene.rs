//! A cluster with keys whose bytes the test knows, a daemon whose every word is kept, and a relay in front of it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use casemate_client::{Client, ClientError, Config};
use casemate_crypto::{Secret, ec, rsa};
use casemate_protocol::messages::{Answer, Ask, Empty};
use casemate_protocol::{Attribute, AttributeType, Curve, KeyType, ObjectClass, Role, Template};
use casemate_tests::{ADMIN_PASSWORD, Build, Cluster, USER_PASSWORD, program};
use prost::Message as _;

use crate::relay::Relay;
use crate::scan::Scanner;

/// A program that this test started; it is ended when dropped.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        if self.0.kill().is_ok() {
            self.0.wait().unwrap();
        }
    }
}

pub(crate) struct Scene {
    // Ended before the cluster's folder goes.
    daemon: Running,
    pub(crate) cluster: Cluster,
    pub(crate) relay: Relay,
    /// The configuration of clients that go through the relay.
    pub(crate) config: PathBuf,
    /// What the keys are.
    pub(crate) keys: Scanner,
}

fn named(label: &str, class: ObjectClass, key_type: KeyType) -> Template {
    let flags = [AttributeType::Token, AttributeType::Private, AttributeType::Sensitive];
    let mut template = Template::default()
        .with(Attribute::number(AttributeType::Class, class.number()))
        .with(Attribute::number(AttributeType::KeyType, key_type.number()))
        .with(Attribute::new(AttributeType::Label, label))
        .with(Attribute::flag(AttributeType::Extractable, false))
        .with(Attribute::flag(AttributeType::Sign, true));
    flags.into_iter().for_each(|flag| template.set(Attribute::flag(flag, true)));
    template
}

/// Keys of four kinds as templates, and what the scanner has to know of them.
fn known_keys(scanner: &mut Scanner) -> Vec<Template> {
    let (aes, hmac) = (Secret::random(32), Secret::random(64));
    scanner.add("the AES key", aes.expose());
    scanner.add("the HMAC key", hmac.expose());
    let ec = ec::PrivateKey::generate(ec::Curve::P256).unwrap().scalar().unwrap();
    scanner.add("the P-256 scalar", ec.expose());
    let rsa = rsa::PrivateKey::generate(2_048, rsa::PUBLIC_EXPONENT).unwrap().components().unwrap();
    for (name, number) in [
        ("private exponent", &rsa.private_exponent),
        ("first prime", &rsa.prime_1),
        ("second prime", &rsa.prime_2),
        ("first exponent", &rsa.exponent_1),
        ("second exponent", &rsa.exponent_2),
        ("coefficient", &rsa.coefficient),
    ] {
        scanner.add(&format!("the RSA {name}"), number.expose());
    }
    let secret = ObjectClass::SecretKey;
    let mut aes_template = named("planted-aes", secret, KeyType::Aes)
        .with(Attribute::new(AttributeType::Value, aes.expose()));
    aes_template.set(Attribute::flag(AttributeType::Encrypt, true));
    aes_template.set(Attribute::flag(AttributeType::Decrypt, true));
    let private = ObjectClass::PrivateKey;
    vec![
        aes_template,
        named("planted-hmac", secret, KeyType::HmacSha256)
            .with(Attribute::new(AttributeType::Value, hmac.expose())),
        named("planted-ec", private, KeyType::Ec)
            .with(Attribute::new(AttributeType::EcParams, Curve::P256.ec_params()))
            .with(Attribute::new(AttributeType::Value, ec.expose())),
        named("planted-rsa", private, KeyType::Rsa)
            .with(Attribute::new(AttributeType::Modulus, rsa.modulus))
            .with(Attribute::new(AttributeType::PublicExponent, rsa.public_exponent))
            .with(Attribute::new(AttributeType::PrivateExponent, rsa.private_exponent.expose()))
            .with(Attribute::new(AttributeType::Prime1, rsa.prime_1.expose()))
            .with(Attribute::new(AttributeType::Prime2, rsa.prime_2.expose()))
            .with(Attribute::new(AttributeType::Exponent1, rsa.exponent_1.expose()))
            .with(Attribute::new(AttributeType::Exponent2, rsa.exponent_2.expose()))
            .with(Attribute::new(AttributeType::Coefficient, rsa.coefficient.expose())),
    ]
}

impl Scene {
    pub(crate) fn new() -> Self {
        let cluster = Cluster::start(Build::Plain).unwrap();
        cluster.dev(&["down"]).unwrap();
        let settings = cluster.path().join("hsm-1/hsmd.toml");
        let mut text = std::fs::read_to_string(&settings).unwrap();
        text.push_str("\n[log]\nlevel = \"debug\"\n\n[limits]\nsnapshot_every = 100\n");
        std::fs::write(&settings, text).unwrap();
        let output = |name: &str| File::create(cluster.path().join(name)).unwrap();
        let daemon = Command::new(program(Build::Plain, "casemate-hsmd"))
            .arg("--config")
            .arg(&settings)
            .stdin(Stdio::null())
            .stdout(output("stdout"))
            .stderr(output("stderr"))
            .spawn();
        let daemon = Running(daemon.unwrap());
        let relay = Relay::start(cluster.address()).unwrap();
        let config = std::fs::read_to_string(cluster.config_path()).unwrap();
        let through = config.replace(&cluster.address(), &relay.address.to_string());
        assert_ne!(config, through);
        let config = cluster.path().join("relay.toml");
        std::fs::write(&config, through).unwrap();
        let mut keys = Scanner::default();
        let templates = known_keys(&mut keys);
        let scene = Self { daemon, cluster, relay, config, keys };
        scene.wait_for_the_daemon();
        scene.plant(&templates);
        scene
    }

    fn wait_for_the_daemon(&self) {
        let (client, start) = (self.client(), Instant::now());
        while let Err(error) = client.call_within(Ask::Ping(Empty {}), Duration::from_millis(500)) {
            assert!(start.elapsed() < Duration::from_secs(30), "{error}: {}", self.output());
        }
    }

    pub(crate) fn client(&self) -> Client {
        Client::new(Config::load(&self.config).map_err(ClientError::from).unwrap())
    }

    pub(crate) fn logged_in(&self, user: &str, role: Role) -> Client {
        let client = self.client();
        let password = if role == Role::Admin { ADMIN_PASSWORD } else { USER_PASSWORD };
        client.log_in(user, password, Some(role)).unwrap();
        client
    }

    /// A process of its own hands the keys in, and ends.
    fn plant(&self, templates: &[Template]) {
        let mut keys = Vec::new();
        templates.iter().for_each(|template| template.encode_length_delimited(&mut keys).unwrap());
        let mut application = self.application("plant");
        application.0.stdin.take().unwrap().write_all(&keys).unwrap();
        assert!(application.0.wait().unwrap().success());
    }

    /// Starts the application.
    pub(crate) fn application(&self, what: &str) -> Running {
        let error = File::create(self.cluster.work().join("application")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_application"))
            .args([self.config.as_os_str(), what.as_ref()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(error)
            .spawn();
        Running(child.unwrap())
    }

    /// What the daemon said so far.
    pub(crate) fn output(&self) -> String {
        let read = |name| std::fs::read_to_string(self.cluster.path().join(name)).unwrap();
        format!("{}{}", read("stdout"), read("stderr"))
    }

    /// Makes so many objects that the daemon writes snapshots.
    pub(crate) fn make_snapshots(&self, client: &Client) {
        for number in 0..150_u32 {
            let template = Template::default()
                .with(Attribute::number(AttributeType::Class, ObjectClass::Data.number()))
                .with(Attribute::flag(AttributeType::Token, true))
                .with(Attribute::new(AttributeType::Label, number.to_string()));
            assert!(matches!(client.call(Ask::CreateObject(template)).unwrap(), Answer::Made(_)));
        }
    }

    /// Waits until an application says that it is ready.
    pub(crate) fn wait_until_ready(&self, application: &mut Running) {
        let mut line = String::new();
        BufReader::new(application.0.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let said = std::fs::read_to_string(self.cluster.work().join("application")).unwrap();
        assert_eq!(line, "ready\n", "{said}");
    }

    pub(crate) fn daemon_pid(&self) -> u32 {
        self.daemon.0.id()
    }
}

/// Reads all memory of a process that it may read itself: what a core image holds, and more.
pub(crate) fn memory_of(pid: u32) -> io::Result<Vec<u8>> {
    let process = Path::new("/proc").join(pid.to_string());
    let maps = std::fs::read_to_string(process.join("maps"))?;
    let mut memory = File::open(process.join("mem"))?;
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| !line.contains("[v")) {
        let mut words = line.split(' ');
        let (range, rights) = (words.next().unwrap_or(""), words.next().unwrap_or(""));
        let Some((from, to)) = range.split_once('-').filter(|_| rights.starts_with('r')) else {
            continue;
        };
        let number = |text| u64::from_str_radix(text, 16).unwrap();
        let mut part = vec![0; usize::try_from(number(to) - number(from)).unwrap()];
        memory.seek(SeekFrom::Start(number(from)))?;
        // Pages of a file behind its end cannot be read.
        if memory.read_exact(&mut part).is_ok() {
            all.extend_from_slice(&part);
        }
    }
    Ok(all)
}
