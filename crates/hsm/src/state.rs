//! The replicated state, in memory: every HSM of a cluster holds the same.
//!
//! It changes only by [`crate::apply`]. Its maps are persistent (they share structure), so cloning it is cheap:
//! readers get a published clone without a lock, and a snapshot is written from one while changes go on.

use std::sync::Arc;

use casemate_crypto::{Hash, hmac};
use casemate_protocol::canonical::{CanonicalError, Reader, Writer};
use casemate_protocol::identity::{LogInId, LogIndex};
use immutable_chunkmap::map::MapM;
use immutable_chunkmap::set::SetM;

use crate::entropy::Time;
use crate::lifecycle::{ClusterState, Settings};
use crate::members::Members;
use crate::objects::Objects;
use crate::sealing::Keyring;
use crate::users::Users;
use crate::window::Window;

const DOMAIN: &str = "casemate/state/v2";

/// The state at one index of the log.
#[derive(Clone, Default)]
pub(crate) struct State {
    /// The last entry that was applied.
    pub(crate) index: LogIndex,
    /// SHA-256(previous head ‖ index ‖ entry): two modules with one index and two heads have diverged.
    pub(crate) head: [u8; 32],
    /// The time of the last command; it never runs back.
    pub(crate) time: Time,
    /// The cluster itself; none before the first entry.
    pub(crate) cluster: Option<Arc<ClusterState>>,
    pub(crate) users: Users,
    pub(crate) members: Members,
    pub(crate) objects: Objects,
    pub(crate) window: Window,
    /// Log-ins that were ended, until their last ticket would have ended by itself.
    revoked: MapM<LogInId, Time>,
    /// The same in order of their ends.
    revoked_until: SetM<(Time, LogInId)>,
}

impl State {
    /// Returns the cluster's settings; the strictest before the first entry.
    pub(crate) fn settings(&self) -> Settings {
        self.cluster.as_ref().map_or_else(Settings::default, |cluster| cluster.settings.clone())
    }

    /// Whether public objects are seen without a log-in.
    pub(crate) fn public_objects(&self) -> bool {
        self.cluster.as_ref().is_some_and(|cluster| cluster.settings.public_objects)
    }

    /// Whether the cluster is in FIPS mode.
    pub(crate) fn fips_mode(&self) -> bool {
        self.cluster.as_ref().is_none_or(|cluster| cluster.settings.fips_mode)
    }

    /// Whether a log-in was ended.
    pub(crate) fn is_revoked(&self, log_in: LogInId) -> bool {
        self.revoked.get(&log_in).is_some()
    }

    /// Ends a log-in.
    pub(crate) fn revoke(&mut self, log_in: LogInId, until: Time) {
        self.remember_revocation(log_in, until);
        self.objects.session_floors.log_in_ended(log_in);
    }

    fn remember_revocation(&mut self, log_in: LogInId, until: Time) {
        if let Some(before) = self.revoked.insert_cow(log_in, until) {
            self.revoked_until.remove_cow(&(before, log_in));
        }
        self.revoked_until.insert_cow((until, log_in));
    }

    /// Forgets what was kept of log-ins that would have ended by themselves; a few at a time, so that no command waits long.
    pub(crate) fn forget_log_ins(&mut self) {
        self.objects.session_floors.forget(self.time);
        for _ in 0..8 {
            let first = self.revoked_until.into_iter().next().copied();
            let Some((until, log_in)) = first.filter(|(until, _)| *until < self.time) else {
                break;
            };
            self.revoked_until.remove_cow(&(until, log_in));
            self.revoked.remove_cow(&log_in);
        }
    }

    /// Writes everything but the objects.
    pub(crate) fn encode_front(&self, writer: &mut Writer) {
        writer.u64(self.index.0).fixed(&self.head).u64(self.time.0);
        match &self.cluster {
            None => {
                writer.u8(0);
            }
            Some(cluster) => {
                writer.u8(1);
                cluster.encode(writer);
            }
        }
        self.users.encode(writer);
        self.members.encode(writer);
        self.window.encode(writer);
        writer.u64(u64::try_from(self.revoked.len()).unwrap_or(u64::MAX));
        for (log_in, until) in &self.revoked {
            writer.fixed(log_in.as_bytes()).u64(until.0);
        }
        self.objects.encode_front(writer);
    }

    /// Reads what [`State::encode_front`] wrote; the objects follow.
    ///
    /// # Errors
    /// [`CanonicalError`].
    pub(crate) fn decode_front(reader: &mut Reader<'_>) -> Result<Self, CanonicalError> {
        let mut state = Self {
            index: LogIndex(reader.u64()?),
            head: reader.fixed()?,
            time: Time(reader.u64()?),
            ..Self::default()
        };
        if reader.u8()? == 1 {
            state.cluster = Some(Arc::new(ClusterState::decode(reader)?));
        }
        state.users = Users::decode(reader)?;
        state.members = Members::decode(reader)?;
        state.window = Window::decode(reader)?;
        for _ in 0..reader.u64()? {
            let log_in = LogInId::from_bytes(reader.fixed()?);
            state.remember_revocation(log_in, Time(reader.u64()?));
        }
        state.objects = Objects::decode_front(reader)?;
        Ok(state)
    }

    /// Computes the state hash: equal on every HSM at one index, and meaningless to an outsider, for it is
    /// under a key of the cluster. It walks the whole state: milliseconds per 10,000 objects.
    pub(crate) fn hash(&self, keyring: &Keyring) -> Vec<u8> {
        let key = keyring.state_key();
        let mut front = Writer::new(DOMAIN);
        self.encode_front(&mut front);
        let mut mac = hmac::Signer::new(Hash::Sha256, key.expose());
        mac.update(&front.finish());
        for object in self.objects.iter() {
            let mut writer = Writer::default();
            object.encode(&mut writer);
            mac.update(&writer.finish());
        }
        mac.finish().as_ref().to_vec()
    }
}
