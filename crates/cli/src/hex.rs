//! Bytes as hexadecimal digits, as identifiers, hashes and attributes are shown and given.

/// Writes bytes, without a prefix.
pub(crate) fn encode(bytes: &[u8]) -> String {
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect()
}

fn digit(value: u8) -> char {
    char::from_digit(u32::from(value), 16).unwrap_or_default()
}

/// Reads what [`encode`] writes; upper case too.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        text.chars().map(|c| c.to_digit(16).and_then(|value| u8::try_from(value).ok())).collect();
    let pair = |pair: &[u8]| <[u8; 2]>::try_from(pair).ok().map(|[high, low]| high << 4 | low);
    digits?.chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_and_nothing_else() {
        let all: Vec<u8> = (0..=u8::MAX).collect();
        assert_eq!(decode(&encode(&all)), Some(all));
        assert_eq!(encode(&[0, 0xab]), "00ab");
        assert_eq!(decode("00AB"), Some(vec![0, 0xab]));
        for wrong in ["0", "0x00", "g0", "+1", "é"] {
            assert_eq!(decode(wrong), None, "{wrong}");
        }
    }
}
