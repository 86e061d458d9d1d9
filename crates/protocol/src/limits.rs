//! Every limit of the wire, with its unit and its reason. Each is tested at the limit and one beyond.

/// Bytes in one frame's payload. Larger requests travel as several fragments ([`crate::frame`]).
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// Bytes of one request or reply put together from its fragments: AES-GCM is buffered up to this.
pub const MESSAGE_BYTES_MAX: usize = 65 << 20;
/// Bytes of a hello: the first message of a connection, from a peer of whom nothing is known.
pub const HELLO_BYTES_MAX: usize = 1 << 10;
/// Bytes of a request without a log-in: two certificates, or a search by a whole template.
pub const STRANGER_BYTES_MAX: usize = 256 << 10;
/// Messages that one connection may have begun and not ended: clients send one after the other.
pub const MESSAGES_BEGUN_MAX: usize = 64;
/// Bytes in the value of one attribute: a large X.509 certificate fits twice.
pub const ATTRIBUTE_VALUE_BYTES_MAX: usize = 64 << 10;
/// Bytes of all attributes of one object.
pub const OBJECT_BYTES_MAX: usize = 128 << 10;
/// Attributes in one template.
pub const TEMPLATE_ENTRIES_MAX: usize = 128;
/// Bytes of `CKA_LABEL`.
pub const LABEL_BYTES_MAX: usize = 255;
/// Bytes of `CKA_ID`.
pub const ID_BYTES_MAX: usize = 255;
/// Characters (all ASCII) of a user's name.
pub const USER_NAME_BYTES_MAX: usize = 31;
/// Bytes of the shortest password.
pub const PASSWORD_BYTES_MIN: usize = 8;
/// Bytes of the longest password: bounds the work of a log-in.
pub const PASSWORD_BYTES_MAX: usize = 128;
/// Bytes of a PEM certificate or request that a client may hand in.
pub const CERTIFICATE_BYTES_MAX: usize = 20_000;
/// Objects in one page of a search: their numbers fill at most 80 KiB.
pub const FIND_PAGE_MAX: usize = 10_000;
/// Random bytes in one reply.
pub const RANDOM_BYTES_MAX: usize = 64 << 10;
/// Bytes of a generic secret (RFC 5869 and HMAC keys stay far below).
pub const SECRET_BYTES_MAX: usize = 1 << 10;
/// Users of one cluster.
pub const USERS_MAX: usize = 1_024;
/// Milliseconds that a call may take unless the application says otherwise.
pub const DEADLINE_MS: u64 = 30_000;
