//! The tree of commands: that of the CloudHSM CLI, extended.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Casemate: an open cloud HSM.
#[derive(Debug, Parser)]
#[command(name = "casemate", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Print JSON: {"error_code":0,"data":…}
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The cluster that is meant: refused if the configuration is of another one
    #[arg(long, global = true, value_name = "ID")]
    pub(crate) cluster_id: Option<String>,
    #[command(subcommand)]
    pub(crate) group: Group,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Group {
    /// A local cluster, for development and tests
    #[command(subcommand)]
    Dev(Dev),
    /// The life and health of a cluster
    #[command(subcommand)]
    Cluster(Cluster),
    /// Check a log-in
    Login(Credentials),
    /// Users
    #[command(subcommand)]
    User(User),
    /// Keys
    #[command(subcommand)]
    Key(Key),
    /// Signatures
    #[command(subcommand)]
    Crypto(Crypto),
    /// Print a completion script for a shell
    Completions { shell: clap_complete::Shell },
    /// Print the manual page, or write those of all commands into a directory
    Man {
        /// Write casemate.1, casemate-key-list.1 and so on here
        #[arg(long)]
        directory: Option<PathBuf>,
    },
}

#[derive(Clone, Debug, Args)]
pub(crate) struct DevDirectory {
    /// Where the cluster lives
    #[arg(long, default_value = ".casemate")]
    pub(crate) dir: PathBuf,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Dev {
    /// Start a cluster on loopback addresses; initialise and activate it the first time
    Up(Up),
    /// Stop every HSM; keys are kept
    Down(DevDirectory),
    /// Show which HSMs run
    Status(DevDirectory),
    /// Kill one HSM at once (SIGKILL)
    Kill {
        /// Which HSM
        number: u8,
        #[command(flatten)]
        directory: DevDirectory,
    },
    /// Start one HSM
    Start {
        /// Which HSM
        number: u8,
        #[command(flatten)]
        directory: DevDirectory,
    },
    /// Restart one HSM after the other while the cluster serves, with the daemon beside this program or another
    Upgrade {
        #[command(flatten)]
        directory: DevDirectory,
        /// The daemon that the HSMs run from now on
        #[arg(long)]
        daemon: Option<PathBuf>,
        /// Seconds that the HSMs may take until all are well and the next one may be stopped
        #[arg(long, default_value_t = 60)]
        patience: u64,
    },
    /// Stop every HSM and remove everything, keys included
    Wipe(DevDirectory),
}

#[derive(Debug, Args)]
pub(crate) struct Up {
    #[command(flatten)]
    pub(crate) directory: DevDirectory,
    /// How many HSMs a new cluster has, each in a zone of its own
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=28))]
    pub(crate) hsms: u8,
    /// The second number of the addresses 127.M.Z.1, so that clusters run side by side
    #[arg(long, env = "CASEMATE_NETWORK", default_value_t = 0)]
    pub(crate) network: u8,
    /// The mode of a new cluster
    #[arg(long, value_enum, default_value_t = Mode::NonFips)]
    pub(crate) mode: Mode,
    /// The daemon that the HSMs of a new cluster run, until `casemate dev upgrade`; without it the one beside this program
    #[arg(long)]
    pub(crate) daemon: Option<PathBuf>,
    /// The password of the user `admin` (made and printed if not given)
    #[arg(long)]
    pub(crate) admin_password: Option<String>,
    /// The password of the crypto user `app` (made and printed if not given)
    #[arg(long)]
    pub(crate) user_password: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    Fips,
    NonFips,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Cluster {
    /// Show how the cluster and each of its HSMs are
    Status(StatusOf),
    /// Fetch the cluster's certificate request, or hand in the signed certificate
    Initialize(Initialize),
    /// Check a certificate request before it is signed
    VerifyCsr {
        /// The certificate request, PEM
        csr: PathBuf,
    },
    /// Set the first admin's password
    Activate(Activate),
    /// Show the HSMs that wait to be let in
    ListJoining,
    /// Let an HSM in
    AddHsm(AddHsm),
    /// Say what an HSM must bring to be let in
    SetJoinPolicy(SetJoinPolicy),
    /// Take an HSM out, for ever
    RemoveHsm {
        /// The HSM, hsm-…
        #[arg(long)]
        hsm: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Policy {
    /// An admin's request, signed by a key under the customer's CA
    Approved,
    /// A quote by the TPM of its machine
    Attested,
    /// Nothing: for clusters of `casemate dev`
    Installation,
}

#[derive(Debug, Args)]
pub(crate) struct SetJoinPolicy {
    #[arg(value_enum)]
    pub(crate) policy: Policy,
    /// The certificate of the authority that certifies the attestation keys of TPMs, PEM
    #[arg(long, requires = "good")]
    pub(crate) attestation_authority: Option<PathBuf>,
    /// What the registers of a good machine's TPM hold, as `tpm2_pcrread sha256:0,7` prints it; once for each kind of machine
    #[arg(long, requires = "attestation_authority")]
    pub(crate) good: Vec<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct AddHsm {
    /// The HSM, hsm-…, as `list-joining` shows it
    #[arg(long)]
    pub(crate) hsm: String,
    /// The private key that signs the admission: of the customer's CA, or of a certificate that it issued, PEM
    #[arg(long)]
    pub(crate) admission_key: PathBuf,
    /// Its certificate, PEM
    #[arg(long)]
    pub(crate) admission_cert: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct StatusOf {
    /// Show it again and again, until Ctrl-C
    #[arg(long)]
    pub(crate) watch: bool,
    /// Seconds from one look to the next
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=3600), requires = "watch")]
    pub(crate) interval: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Initialize {
    /// The HSM, HOST:PORT
    #[arg(long)]
    pub(crate) address: String,
    /// Write the certificate request here
    #[arg(long, conflicts_with_all = ["certificate", "trust_anchor"], required_unless_present = "certificate")]
    pub(crate) csr: Option<PathBuf>,
    /// The signed certificate, PEM
    #[arg(long, requires = "trust_anchor")]
    pub(crate) certificate: Option<PathBuf>,
    /// The customer's CA certificate, PEM
    #[arg(long, requires = "certificate")]
    pub(crate) trust_anchor: Option<PathBuf>,
    /// Write the client configuration here
    #[arg(long, requires = "certificate")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Activate {
    /// The password of the user `admin`; asked for if not given
    #[arg(long)]
    pub(crate) password: Option<String>,
    /// A certificate under the trust anchor (or the anchor itself), PEM; not needed where activation is open
    #[arg(long, requires = "activation_key")]
    pub(crate) activation_cert: Option<PathBuf>,
    /// Its private key (EC P-256), PKCS#8 in PEM
    #[arg(long, requires = "activation_cert")]
    pub(crate) activation_key: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    Admin,
    CryptoUser,
}

/// Who logs in; CASEMATE_ROLE and CASEMATE_PIN (`user:password`) serve where nothing is given.
#[derive(Debug, Args)]
pub(crate) struct Credentials {
    /// The user
    #[arg(long)]
    pub(crate) username: Option<String>,
    /// The user's role
    #[arg(long, value_enum)]
    pub(crate) role: Option<RoleName>,
    /// The password; asked for if not given
    #[arg(long)]
    pub(crate) password: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct UserName {
    /// The user
    #[arg(long)]
    pub(crate) username: String,
    /// The user's role
    #[arg(long, value_enum)]
    pub(crate) role: RoleName,
}

#[derive(Debug, Subcommand)]
pub(crate) enum User {
    /// Create a user (admin)
    Create {
        #[command(flatten)]
        user: UserName,
        /// The password; asked for if not given
        #[arg(long)]
        password: Option<String>,
    },
    /// List users
    List,
    /// Set a password: one's own, or by an admin another's, which also unlocks it
    ChangePassword {
        #[command(flatten)]
        user: UserName,
        /// The new password; asked for if not given
        #[arg(long)]
        password: Option<String>,
    },
    /// Delete a user who owns no keys (admin)
    Delete {
        #[command(flatten)]
        user: UserName,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum Key {
    /// Make a secret key
    #[command(subcommand)]
    GenerateSymmetric(GenerateSymmetric),
    /// Make a key pair
    #[command(subcommand)]
    GenerateAsymmetricPair(GeneratePair),
    /// Import a public key
    #[command(subcommand)]
    Import(Import),
    /// List keys
    List {
        /// attr.NAME=VALUE, or key-reference=0x…; all must hold
        #[arg(long, num_args = 1..)]
        filter: Vec<String>,
        /// Print every attribute
        #[arg(long, short)]
        verbose: bool,
        /// How many at most
        #[arg(long, default_value_t = 10)]
        max_items: u64,
        /// Go on behind this one: the `next_token` of the last page
        #[arg(long)]
        starting_token: Option<u64>,
    },
    /// Delete one key; the other half of a pair stays
    Delete {
        /// attr.NAME=VALUE, or key-reference=0x…; all must hold
        #[arg(long, num_args = 1.., required = true)]
        filter: Vec<String>,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum GenerateSymmetric {
    /// An AES key
    Aes(SecretKey),
    /// A generic secret, for HMAC and derivation
    GenericSecret(SecretKey),
}

#[derive(Debug, Args)]
pub(crate) struct SecretKey {
    /// The label
    #[arg(long)]
    pub(crate) label: String,
    /// AES: 16, 24 or 32
    #[arg(long)]
    pub(crate) key_length_bytes: u64,
    /// Attributes, NAME=VALUE
    #[arg(long, num_args = 1..)]
    pub(crate) attributes: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum GeneratePair {
    /// An elliptic-curve pair
    Ec {
        #[command(flatten)]
        pair: Pair,
        /// prime256v1, secp224r1, secp384r1, secp521r1, secp256k1, ed25519 or x25519
        #[arg(long)]
        curve: String,
    },
    /// An RSA pair
    Rsa {
        #[command(flatten)]
        pair: Pair,
        /// 2048 to 4096, in steps of 256
        #[arg(long)]
        modulus_size_bits: u64,
        /// Odd, at least 65537
        #[arg(long, default_value_t = 65_537)]
        public_exponent: u64,
    },
    /// An ML-DSA pair
    MlDsa {
        #[command(flatten)]
        pair: Pair,
        /// ML-DSA-44, ML-DSA-65 or ML-DSA-87
        #[arg(long)]
        mldsa_algorithm: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct Pair {
    /// The label of the public key
    #[arg(long)]
    pub(crate) public_label: String,
    /// The label of the private key
    #[arg(long)]
    pub(crate) private_label: String,
    /// Attributes of the public key, NAME=VALUE
    #[arg(long, num_args = 1..)]
    pub(crate) public_attributes: Vec<String>,
    /// Attributes of the private key, NAME=VALUE
    #[arg(long, num_args = 1..)]
    pub(crate) private_attributes: Vec<String>,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Import {
    /// A public key in PEM (SubjectPublicKeyInfo)
    Pem {
        /// The file
        #[arg(long)]
        path: PathBuf,
        /// The label
        #[arg(long)]
        label: String,
        /// Refuse the file if it holds another kind of key
        #[arg(long, value_enum)]
        key_type_class: Option<KeyTypeClass>,
        /// Attributes, NAME=VALUE
        #[arg(long, num_args = 1..)]
        attributes: Vec<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum KeyTypeClass {
    RsaPublic,
    EcPublic,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Crypto {
    /// Sign
    Sign(Sign),
    /// Verify a signature
    Verify {
        #[command(flatten)]
        sign: Sign,
        /// The signature, in base64
        #[arg(long, required_unless_present = "signature_path")]
        signature: Option<String>,
        /// The file with the signature
        #[arg(long, conflicts_with = "signature")]
        signature_path: Option<PathBuf>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Algorithm {
    Ecdsa,
    RsaPkcs,
    RsaPkcsPss,
    Ed25519,
    Ed25519ph,
    MlDsa,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum HashName {
    Sha1,
    Sha224,
    Sha256,
    Sha384,
    Sha512,
    /// Part of ML-DSA, and of nothing else here
    Shake256,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum MgfName {
    Mgf1Sha1,
    Mgf1Sha224,
    Mgf1Sha256,
    Mgf1Sha384,
    Mgf1Sha512,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DataType {
    /// The message
    Raw,
    /// Its digest
    Digest,
}

#[derive(Debug, Args)]
pub(crate) struct Sign {
    /// How to sign
    #[arg(value_enum)]
    pub(crate) algorithm: Algorithm,
    /// attr.NAME=VALUE, or key-reference=0x…; all must hold
    #[arg(long, num_args = 1.., required = true)]
    pub(crate) key_filter: Vec<String>,
    /// The hash of the message (sha256 if not given; ed25519ph: sha512; ed25519 and ml-dsa have their own)
    #[arg(long, value_enum)]
    pub(crate) hash_function: Option<HashName>,
    /// The message, in base64
    #[arg(long, required_unless_present = "data_path")]
    pub(crate) data: Option<String>,
    /// The file with the message
    #[arg(long, conflicts_with = "data")]
    pub(crate) data_path: Option<PathBuf>,
    /// What the data is
    #[arg(long, value_enum, default_value_t = DataType::Raw)]
    pub(crate) data_type: DataType,
    /// RSA-PSS: the mask generation (the hash function's if not given)
    #[arg(long, value_enum)]
    pub(crate) mgf: Option<MgfName>,
    /// RSA-PSS: bytes of the salt (as many as the hash has if not given)
    #[arg(long)]
    pub(crate) salt_length: Option<u64>,
    /// Write the signature here (raw; ECDSA: r and s)
    #[arg(long)]
    pub(crate) output_path: Option<PathBuf>,
}
