//! What the two faces of the module share: the published state, the secrets in use, and what is kept in memory alone.

use std::sync::{Arc, OnceLock};

use arc_swap::ArcSwap;

use crate::activity::Activity;
use crate::entropy::Entropy;
use crate::index_token;
use crate::lifecycle::ThisHsm;
use crate::log_in::attempts::Attempts;
use crate::members::join::Pending;
use crate::objects::OpenKeys;
use crate::sealing::Keyring;
use crate::secrets::Secrets;
use crate::state::State;
use crate::status::{LastHash, Surroundings};

/// What the two faces of the module share.
pub(crate) struct Shared {
    pub(crate) state: ArcSwap<Published>,
    pub(crate) keyring: ArcSwap<Keyring>,
    pub(crate) secrets: ArcSwap<Secrets>,
    /// The secrets that an activation brings into use.
    activation: OnceLock<Secrets>,
    pub(crate) this: ThisHsm,
    pub(crate) entropy: Box<dyn Entropy>,
    pub(crate) attempts: Attempts,
    pub(crate) joining: Pending,
    pub(crate) open_keys: OpenKeys,
    pub(crate) last_hash: LastHash,
    pub(crate) surroundings: ArcSwap<Surroundings>,
    pub(crate) activity: Activity,
}

/// A published state, with the token of its index.
pub(crate) struct Published {
    pub(crate) state: Arc<State>,
    pub(crate) token: Vec<u8>,
}

impl Shared {
    pub(crate) fn new(secrets: Secrets, this: ThisHsm, entropy: Box<dyn Entropy>) -> Arc<Self> {
        let keyring = Keyring::new(&secrets);
        let state = Arc::new(State::default());
        let token = Vec::new();
        Arc::new(Self {
            state: ArcSwap::from_pointee(Published { state, token }),
            keyring: ArcSwap::from_pointee(keyring),
            secrets: ArcSwap::from_pointee(secrets),
            activation: OnceLock::new(),
            this,
            entropy,
            attempts: Attempts::default(),
            joining: Pending::default(),
            open_keys: OpenKeys::default(),
            last_hash: LastHash::default(),
            surroundings: ArcSwap::from_pointee(Surroundings::default()),
            activity: Activity::default(),
        })
    }

    pub(crate) fn keyring(&self) -> Arc<Keyring> {
        self.keyring.load_full()
    }

    pub(crate) fn secrets(&self) -> Arc<Secrets> {
        self.secrets.load_full()
    }

    /// Returns the secrets with the masking key of the activation. Every attempt gets the same, so that what is stored
    /// opens what is sealed, whichever attempt wins.
    pub(crate) fn activation_secrets(&self) -> Secrets {
        self.activation.get_or_init(|| self.secrets().with_new_masking_key()).duplicate()
    }

    /// Takes new secrets into use: their keyring opens all that the old one opened.
    pub(crate) fn use_secrets(&self, secrets: Secrets) {
        self.keyring.store(Arc::new(Keyring::new(&secrets)));
        self.secrets.store(Arc::new(secrets));
    }

    pub(crate) fn publish(&self, state: State) {
        let keyring = self.keyring.load();
        let incarnation = self.secrets.load().incarnation();
        let token = index_token::make(&keyring, incarnation, state.index, &state.head);
        self.state.store(Arc::new(Published { state: Arc::new(state), token }));
    }
}
