//! Frames and templates: what is read is what was written, and nothing else.

use casemate_protocol::frame::{self, Frame, HEADER_BYTES};
use casemate_protocol::{AttributeType, Template, limits};
use prost::Message as _;

/// Frames: each that is read writes back to the bytes that it took; messages put together again are the same.
pub fn frame(input: &[u8]) {
    let mut rest = input;
    while let Ok(Some(Frame { header, payload, taken })) = frame::read(rest) {
        assert_eq!(header.length, payload.len());
        assert!(header.length <= limits::FRAME_BYTES_MAX);
        assert!(!header.more || header.length > 0);
        let written = [&header.encode().unwrap()[..], payload].concat();
        assert_eq!(written, rest[..taken]);
        assert_eq!(taken, HEADER_BYTES + payload.len());
        rest = &rest[taken..];
    }
    let mut out = Vec::new();
    frame::write(&mut out, 7, input).unwrap();
    let read = frame::read(&out).unwrap().unwrap();
    assert_eq!(read.payload, &input[..input.len().min(limits::FRAME_BYTES_MAX)]);
}

/// Templates: what is checked has no attribute twice, none unknown, none too large; its accessors do not fail afterwards.
pub fn template(input: &[u8]) {
    let Ok(template) = Template::decode(input) else { return };
    let again = Template::decode(template.encode_to_vec().as_slice()).unwrap();
    assert!(again == template, "a template reads back as another");
    // Before it is checked, too.
    for attribute in [AttributeType::Class, AttributeType::KeyType, AttributeType::Token] {
        let (number, flag) = (template.number(attribute), template.flag(attribute));
        // One value is no number and no flag at once.
        assert!(!matches!((number, flag), (Ok(Some(_)), Ok(Some(_)))));
    }
    assert!(template.class().is_ok() || template.find(AttributeType::Class).is_some());
    assert!(template.key_type().is_ok() || template.find(AttributeType::KeyType).is_some());
    if let Err(error) = template.check() {
        assert!(!error.to_string().is_empty());
        return;
    }
    assert!(template.attributes.len() <= limits::TEMPLATE_ENTRIES_MAX);
    let bytes: usize = template.attributes.iter().map(|entry| entry.value.len()).sum();
    assert!(bytes <= limits::OBJECT_BYTES_MAX);
    for (at, entry) in template.attributes.iter().enumerate() {
        let attribute = entry.attribute().unwrap();
        assert!(template.attributes[..at].iter().all(|before| before.number != entry.number));
        assert!(template.find(attribute).is_some());
    }
}
