//! Bytes within a record.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bytes within a record: in JSON base64 of their zstd, elsewhere as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packed(pub Vec<u8>);

/// Most bytes that are unpacked: a damaged record must not fill the memory.
const MOST: usize = 4 << 30;

impl Serialize for Packed {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if !serializer.is_human_readable() {
            return serializer.serialize_bytes(&self.0);
        }
        let packed = zstd::encode_all(self.0.as_slice(), 0).map_err(serde::ser::Error::custom)?;
        serializer.serialize_str(&STANDARD.encode(packed))
    }
}

impl<'de> Deserialize<'de> for Packed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            let text = String::deserialize(deserializer)?;
            return unpack(&text).map(Self).map_err(Error::custom);
        }
        deserializer.deserialize_byte_buf(Bytes).map(Self)
    }
}

fn unpack(text: &str) -> Result<Vec<u8>, String> {
    use std::io::Read;
    let packed = STANDARD.decode(text).map_err(|error| format!("it is no base64: {error}"))?;
    let told = |error: std::io::Error| format!("it can't be unpacked: {error}");
    let mut bytes = Vec::new();
    let decoder = zstd::Decoder::new(packed.as_slice()).map_err(told)?;
    decoder.take(MOST as u64 + 1).read_to_end(&mut bytes).map_err(told)?;
    if bytes.len() > MOST { Err(format!("it unpacks to more than {MOST} bytes")) } else { Ok(bytes) }
}

struct Bytes;

impl Visitor<'_> for Bytes {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes")
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_as_they_were_written() {
        for bytes in [Vec::new(), vec![0], (0..=255).cycle().take(100_000).collect()] {
            let packed = Packed(bytes);
            let json = serde_json::to_string(&packed).unwrap();
            assert!(json.len() < 2000, "{}", json.len());
            assert_eq!(serde_json::from_str::<Packed>(&json).unwrap(), packed);
            assert_eq!(rmp_serde::from_slice::<Packed>(&rmp_serde::to_vec_named(&packed).unwrap()).unwrap(), packed);
        }
    }

    #[test]
    fn what_was_cut_off_is_refused() {
        let json = serde_json::to_string(&Packed(vec![7; 1000])).unwrap();
        let cut = format!("{}\"", &json[..json.len() - 5]);
        assert!(serde_json::from_str::<Packed>(&cut).is_err());
        assert!(serde_json::from_str::<Packed>("\"AAAA\"").is_err());
    }
}
