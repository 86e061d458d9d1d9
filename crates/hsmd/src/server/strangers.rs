//! Peers that speak something else than TLS 1.3: what they are told, and what the log says of them.

/// What the methods of HTTP begin with.
const HTTP: [&[u8]; 8] = [b"GET ", b"POST", b"HEAD", b"PUT ", b"OPTI", b"PRI ", b"CONN", b"DELE"];
/// What such a peer is told.
pub(crate) const HTTP_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\
    This is casemate-hsmd. It speaks its own protocol over TLS 1.3: use casemate or a library of Casemate.\n";

/// Whether a peer's first bytes are those of an HTTP request.
pub(crate) fn is_http(first: [u8; 4]) -> bool {
    HTTP.contains(&first.as_slice())
}

/// Says in words what a peer's TLS lacks.
pub(crate) fn tls_cause(error: &rustls::Error) -> String {
    use rustls::{Error as Tls, PeerIncompatible};
    match error {
        Tls::InvalidMessage(_) => "what it sends is not TLS".to_owned(),
        Tls::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::Tls12NotOfferedOrEnabled,
        ) => "it offers TLS 1.2 at most, and 1.3 is needed".to_owned(),
        error => error.to_string(),
    }
}
