//! A block as it is kept.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use zstd::bulk::{Compressor, Decompressor};

/// Fast enough for what comes over a network (some 300 MB/s a core), and far smaller than level 1 on text.
const LEVEL: i32 = 3;

/// A block is kept smaller only where it shrinks by one part in so many: unpacking costs on every hit.
const WORTH: usize = 8;

/// A part of a block by which is told whether packing is worth trying, in bytes. What was compressed before (Parquet, gzip, zstd) is
/// told so at an eighth of the cost. A block of up to twice that is tried as a whole.
const SAMPLE: usize = 64 << 10;

/// How a block's bytes are kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Packing {
    Raw,
    Zstd,
    /// The first bytes of all fours, then their second ones and so on: numbers of four bytes, such as tokens, share their high ones.
    ShuffledZstd,
}

/// A block as it is kept. Its bytes own no more memory than they show.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packed {
    pub packing: Packing,
    pub bytes: Bytes,
    /// How many bytes the block has.
    pub len: u32,
}

/// Packs and unpacks. What zstd works in is kept between blocks.
#[derive(Default)]
pub struct Packer {
    compressors: Mutex<Vec<Compressor<'static>>>,
    decompressors: Mutex<Vec<Decompressor<'static>>>,
}

impl Packer {
    /// Where zstd fails, the block is kept raw.
    pub fn pack(&self, raw: &[u8]) -> Packed {
        let len = raw.len() as u32;
        match self.smaller(raw) {
            Some((packing, bytes)) => Packed { packing, bytes, len },
            // A copy: what was fetched may be a part of something larger, which would be kept with it.
            None => Packed { packing: Packing::Raw, bytes: Bytes::copy_from_slice(raw), len },
        }
    }

    fn smaller(&self, raw: &[u8]) -> Option<(Packing, Bytes)> {
        let mut compressor = match taken(&self.compressors) {
            Some(compressor) => compressor,
            None => Compressor::new(LEVEL).ok()?,
        };
        let mut smaller = |raw: &[u8]| {
            let mut room = vec![0; room(raw.len())];
            let size = compressor.compress_to_buffer(raw, &mut room[..]).ok()?;
            room.truncate(size);
            Some(room)
        };
        let small = (|| {
            let middle = raw.len() / 2 / 4 * 4;
            let sample = if raw.len() > 2 * SAMPLE { &raw[middle..middle + SAMPLE] } else { raw };
            let (as_it_is, in_fours) = (smaller(sample), smaller(&shuffled(sample)));
            let size = |small: &Option<Vec<u8>>| small.as_ref().map_or(sample.len(), Vec::len);
            // Shuffling takes time, and must be worth it by a tenth.
            if size(&in_fours) < size(&as_it_is) - size(&as_it_is) / 10 {
                Some((Packing::ShuffledZstd, smaller(&shuffled(raw))?))
            } else {
                as_it_is.and_then(|_| Some((Packing::Zstd, smaller(raw)?)))
            }
        })();
        give_back(&self.compressors, compressor);
        small.map(|(packing, bytes)| (packing, Bytes::copy_from_slice(&bytes)))
    }

    /// The block's bytes, or `None` where what was kept is no block of this length. No more memory is taken than the length says.
    pub fn unpack(&self, packed: &Packed) -> Option<Bytes> {
        let len = packed.len as usize;
        match packed.packing {
            Packing::Raw => (packed.bytes.len() == len).then(|| packed.bytes.clone()),
            Packing::Zstd | Packing::ShuffledZstd => {
                let mut decompressor = match taken(&self.decompressors) {
                    Some(decompressor) => decompressor,
                    None => Decompressor::new().ok()?,
                };
                let mut raw = vec![0; len];
                let size = decompressor.decompress_to_buffer(&packed.bytes, &mut raw[..]);
                give_back(&self.decompressors, decompressor);
                if size.is_err() || size.is_ok_and(|size| size != len) {
                    return None;
                }
                Some(if packed.packing == Packing::Zstd { raw.into() } else { unshuffled(&raw).into() })
            }
        }
    }
}

/// The most bytes that are worth keeping for so many; zstd gives up where they don't suffice.
fn room(len: usize) -> usize {
    len - len.div_ceil(WORTH)
}

/// What is left beyond whole fours stays at the end.
fn shuffled(raw: &[u8]) -> Vec<u8> {
    let (fours, rest) = raw.as_chunks::<4>();
    let mut shuffled = Vec::with_capacity(raw.len());
    for nth in 0..4 {
        shuffled.extend(fours.iter().map(|four| four[nth]));
    }
    shuffled.extend_from_slice(rest);
    shuffled
}

/// The other way round.
fn unshuffled(shuffled: &[u8]) -> Vec<u8> {
    let count = shuffled.len() / 4;
    let (planes, rest) = shuffled.split_at(4 * count);
    let (first, second) = planes.split_at(2 * count);
    let ((a, b), (c, d)) = (first.split_at(count), second.split_at(count));
    let mut raw = Vec::with_capacity(shuffled.len());
    for (((a, b), c), d) in a.iter().zip(b).zip(c).zip(d) {
        raw.extend_from_slice(&[*a, *b, *c, *d]);
    }
    raw.extend_from_slice(rest);
    raw
}

fn taken<T>(idle: &Mutex<Vec<T>>) -> Option<T> {
    idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
}

fn give_back<T>(idle: &Mutex<Vec<T>>, one: T) {
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(one);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Bytes that can't be packed.
    fn noise(len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len];
        blake3::Hasher::new().finalize_xof().fill(&mut bytes);
        bytes
    }

    #[test]
    fn text_is_packed_and_noise_stays_as_it_is() {
        let packer = Packer::default();
        let text = b"{\"prompt\": \"What is a lighthouse for?\"}\n".repeat(20_000);
        let packed = packer.pack(&text);
        assert_eq!((packed.packing, packed.len as usize), (Packing::Zstd, text.len()));
        assert!(packed.bytes.len() * 10 < text.len());
        for noise in [noise(1 << 20), noise(5), Vec::new()] {
            let packed = packer.pack(&noise);
            assert_eq!((packed.packing, &packed.bytes[..]), (Packing::Raw, &noise[..]));
        }
    }

    #[test]
    fn tokens_are_packed_in_fours() {
        let packer = Packer::default();
        let noise = noise(1 << 18);
        let tokens: Vec<u8> = noise.chunks(2).flat_map(|token| [token[0], token[1] % 100, 0, 0]).chain([1, 2, 3]).collect();
        let packed = packer.pack(&tokens);
        assert_eq!(packed.packing, Packing::ShuffledZstd);
        // Fourteen and a half bits in thirty-two say something.
        assert!(packed.bytes.len() as f64 * 2.1 < tokens.len() as f64, "{} of {}", packed.bytes.len(), tokens.len());
        assert_eq!(packer.unpack(&packed).unwrap(), tokens);
    }

    #[test]
    fn a_block_that_shrinks_by_little_stays_as_it_is() {
        let packer = Packer::default();
        // 11 % of it are one letter: too little, whatever zstd takes for the rest.
        let raw = [noise(89_000), vec![b'a'; 11_000]].concat();
        assert_eq!(packer.pack(&raw).packing, Packing::Raw);
        let raw = [noise(80_000), vec![b'a'; 20_000]].concat();
        assert_eq!(packer.pack(&raw).packing, Packing::Zstd);
    }

    #[test]
    fn a_bomb_takes_no_more_than_its_block() {
        let packer = Packer::default();
        let bomb = Bytes::from(zstd::bulk::compress(&vec![0; 64 << 20], 3).unwrap());
        assert!(bomb.len() < 1 << 13);
        for (len, packing) in [
            (0, Packing::Zstd),
            (1, Packing::ShuffledZstd),
            (1000, Packing::Zstd),
            ((64 << 20) - 1, Packing::Zstd),
            ((64 << 20) + 1, Packing::ShuffledZstd),
        ] {
            assert_eq!(packer.unpack(&Packed { packing, bytes: bomb.clone(), len }), None);
        }
    }

    proptest! {
        #[test]
        fn what_is_unpacked_is_what_was_packed(words in prop::collection::vec(any::<u16>(), 0..400), times in 1_usize..4) {
            let raw: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>().repeat(times);
            let packer = Packer::default();
            prop_assert_eq!(packer.unpack(&packer.pack(&raw)), Some(Bytes::from(raw)));
        }

        #[test]
        fn fours_come_back_in_their_order(raw in prop::collection::vec(any::<u8>(), 0..50)) {
            prop_assert_eq!(unshuffled(&shuffled(&raw)), raw);
        }

        #[test]
        fn what_is_no_packing_is_no_block(bytes in prop::collection::vec(any::<u8>(), 0..200), len in 0_u32..300) {
            let packed = Packed { packing: Packing::Zstd, bytes: bytes.into(), len };
            let unpacked = Packer::default().unpack(&packed);
            prop_assert!(unpacked.is_none_or(|raw| raw.len() == len as usize));
        }
    }
}
