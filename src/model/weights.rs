//! The tensors of a checkpoint, mapped from its safetensors files.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use memmap2::{Mmap, MmapMut};
use safetensors::tensor::{Dtype, SafeTensorError, SafeTensors, TensorInfo};

use super::error::{ModelError, some_of};
use super::matrix::{Matrix, Precision, Stored};

/// A safetensors file in memory, mapped or copied. The map is read-only and private; a file that another process truncates while it is
/// mapped ends this one with SIGBUS, as with any reader that maps its input.
pub struct MappedFile {
    pub path: PathBuf,
    map: Mmap,
    /// Where the tensors' bytes begin.
    data_start: usize,
}

/// Where the bytes of weights are while a model is loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Keep {
    /// Where their files are mapped: nothing is read that is not computed with, and the pages may leave the memory.
    #[default]
    Mapped,
    /// In memory, whatever becomes of the files: who answers for days does not want to die of one that is truncated, or to compute with
    /// one that is overwritten.
    Copied,
}

/// How a checkpoint is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    pub precision: Precision,
    pub keep: Keep,
}

/// Where a tensor lies.
struct Entry {
    file: Arc<MappedFile>,
    dtype: Dtype,
    shape: Vec<usize>,
    /// Byte range after `data_start`.
    range: (usize, usize),
    taken: bool,
}

/// The tensors of one checkpoint or adapter by name, each to be taken once; what nobody took is an error of the caller's.
pub struct Tensors {
    /// What to name in messages: the file, or the folder of shards.
    pub path: PathBuf,
    files: Vec<Arc<MappedFile>>,
    entries: BTreeMap<String, Entry>,
}

/// A matrix in float32, row-major: `(rows, cols)`. A vector has `rows == 1`.
#[derive(Clone)]
pub struct Weight {
    pub rows: usize,
    pub cols: usize,
    data: Data<f32>,
}

/// Values of a tensor: where its file is mapped, or computed here.
#[derive(Clone)]
pub enum Data<T> {
    /// Checked to be aligned and whole when the tensor was taken.
    Mapped {
        file: Arc<MappedFile>,
        start: usize,
        end: usize,
    },
    Owned {
        values: Arc<[T]>,
        start: usize,
        end: usize,
    },
}

impl<T: bytemuck::Pod> Data<T> {
    pub fn owned(values: Vec<T>) -> Self {
        Self::Owned { end: values.len(), start: 0, values: values.into() }
    }

    pub fn as_slice(&self) -> &[T] {
        match self {
            Self::Owned { values, start, end } => &values[*start..*end],
            Self::Mapped { file, start, end } => bytemuck::cast_slice(&file.map[*start..*end]),
        }
    }

    /// Some of the values, which stay where they are.
    pub fn part(&self, range: Range<usize>) -> Self {
        match self {
            Self::Owned { values, start, .. } => {
                Self::Owned { values: Arc::clone(values), start: start + range.start, end: start + range.end }
            }
            Self::Mapped { file, start, .. } => Self::Mapped {
                file: Arc::clone(file),
                start: start + range.start * size_of::<T>(),
                end: start + range.end * size_of::<T>(),
            },
        }
    }
}

impl Weight {
    /// A matrix of values computed here. `data.len()` must be `rows * cols`.
    pub fn owned(rows: usize, cols: usize, data: Vec<f32>) -> Self {
        debug_assert_eq!(data.len(), rows * cols);
        Self { rows, cols, data: Data::owned(data) }
    }

    pub fn as_slice(&self) -> &[f32] {
        self.data.as_slice()
    }

    /// Some of a vector's values.
    pub fn part(&self, range: Range<usize>) -> Self {
        Self { rows: 1, cols: range.len(), data: self.data.part(range) }
    }
}

impl Tensors {
    /// Opens one safetensors file.
    pub fn open_file(path: &Path, keep: Keep) -> Result<Self, ModelError> {
        let mut tensors = Self { path: path.to_owned(), files: Vec::new(), entries: BTreeMap::new() };
        tensors.add_file(path, keep)?;
        Ok(tensors)
    }

    /// Opens the weights of a model's folder: `model.safetensors`, or the shards that `model.safetensors.index.json` names.
    pub fn open_model(dir: &Path, keep: Keep) -> Result<Self, ModelError> {
        let single = dir.join("model.safetensors");
        let index = dir.join("model.safetensors.index.json");
        if single.exists() {
            return Self::open_file(&single, keep);
        }
        if !index.exists() {
            let pickle = "pytorch_model.bin is a pickle, which can run code when read; save the model with `save_pretrained(…, safe_serialization=True)`";
            let names = "weights are read from model.safetensors, or from the shards that model.safetensors.index.json names";
            let instead = [("pytorch_model.bin", pickle), ("pytorch_model.bin.index.json", pickle), (".", names)];
            return Err(ModelError::missing("the model", dir, "model.safetensors", &instead));
        }
        Self::open_shards(dir, &index, keep)
    }

    fn open_shards(dir: &Path, index: &Path, keep: Keep) -> Result<Self, ModelError> {
        #[derive(serde::Deserialize)]
        struct Index {
            weight_map: BTreeMap<String, String>,
        }
        let text = std::fs::read(index).map_err(|e| ModelError::read(index, e))?;
        let parsed: Index = serde_json::from_slice(&text).map_err(|e| ModelError::invalid(index, e.to_string()))?;
        if parsed.weight_map.is_empty() {
            return Err(ModelError::invalid(index, "its `weight_map` names no shard"));
        }
        let mut shards: Vec<&String> = parsed.weight_map.values().collect();
        shards.sort();
        shards.dedup();
        let mut tensors = Self { path: dir.to_owned(), files: Vec::new(), entries: BTreeMap::new() };
        for shard in shards {
            // A shard is a file beside the index: a path that leads elsewhere is not followed.
            if Path::new(shard).components().count() != 1 || shard.starts_with('.') {
                return Err(ModelError::refused(index, format!("the shard `{shard}` is not a file beside the index")));
            }
            let path = dir.join(shard);
            if !path.exists() {
                return Err(ModelError::invalid(index, format!("it names the shard `{shard}`, which is not there")));
            }
            tensors.add_file(&path, keep)?;
        }
        for (name, shard) in &parsed.weight_map {
            match tensors.entries.get(name) {
                Some(entry) if entry.file.path.file_name().is_some_and(|f| f == shard.as_str()) => {}
                _ => {
                    return Err(ModelError::invalid(
                        index,
                        format!("it says that `{name}` is in {shard}, which does not hold it"),
                    ));
                }
            }
        }
        Ok(tensors)
    }

    fn add_file(&mut self, path: &Path, keep: Keep) -> Result<(), ModelError> {
        let mut handle = File::open(path).map_err(|e| ModelError::read(path, e))?;
        let length = handle.metadata().map_err(|e| ModelError::read(path, e))?.len();
        if length < 8 {
            return Err(ModelError::invalid(
                path,
                format!(
                    "{length} bytes are too few for a safetensors file: it is truncated, or a pointer that was never fetched"
                ),
            ));
        }
        let map = match keep {
            // SAFETY: the map is only read; see `MappedFile` for what a concurrent truncation does.
            #[expect(unsafe_code, reason = "mapping a file is unsafe because others can change it")]
            Keep::Mapped => unsafe { Mmap::map(&handle) },
            Keep::Copied => copy(&mut handle, length),
        };
        let map = map.map_err(|e| ModelError::read(path, e))?;
        let (header, metadata) = SafeTensors::read_metadata(&map).map_err(|e| ModelError::invalid(path, describe(&e, &map)))?;
        let infos = metadata.tensors();
        let file = Arc::new(MappedFile { path: path.to_owned(), map, data_start: header + 8 });
        for (name, info) in infos {
            let entry = Entry {
                file: Arc::clone(&file),
                dtype: info.dtype,
                shape: info.shape.clone(),
                range: info.data_offsets,
                taken: false,
            };
            if self.entries.insert(name.clone(), entry).is_some() {
                return Err(ModelError::invalid(path, format!("the tensor `{name}` is in another shard too")));
            }
        }
        self.files.push(file);
        Ok(())
    }

    pub fn contains(&self, name: &str) -> bool {
        self.entries.contains_key(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    pub fn len(&self) -> usize {
        self.entries.len()
    }

    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.entries.get(name).map(|entry| entry.shape.as_slice())
    }

    /// The dtype of each tensor, and its bytes.
    pub fn sizes(&self) -> impl Iterator<Item = (Dtype, u64)> {
        self.entries.values().map(|entry| (entry.dtype, (entry.range.1 - entry.range.0) as u64))
    }

    /// Values in all tensors.
    pub fn parameters(&self) -> u64 {
        self.entries.values().map(|entry| entry.shape.iter().product::<usize>() as u64).sum()
    }

    /// Takes a matrix of `shape` (out, in), or a vector, in float32.
    ///
    /// # Errors
    /// A tensor that is missing, of another shape, or of a dtype that is not f32, f16 or bf16, by name.
    pub fn take(&mut self, name: &str, shape: &[usize]) -> Result<Weight, ModelError> {
        let stored = self.take_stored(name, shape)?;
        let (rows, cols) = match *shape {
            [rows, cols] => (rows, cols),
            _ => (1, shape.iter().product()),
        };
        let data = match stored {
            Stored::F32(data) => data,
            half => Data::owned(half.rows(0..rows * cols, &mut Vec::new()).to_vec()),
        };
        Ok(Weight { rows, cols, data })
    }

    /// Takes a matrix of `shape` (out, in) as the checkpoint holds it, to be read in `precision`.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_matrix(&mut self, name: &str, shape: [usize; 2], precision: Precision) -> Result<Matrix, ModelError> {
        Ok(Matrix::new(shape, self.take_stored(name, &shape)?, precision))
    }

    /// The same of a tensor that is stored as (in, out), as GPT-2's are.
    ///
    /// # Errors
    /// As [`Self::take`].
    pub fn take_transposed(&mut self, name: &str, [rows, cols]: [usize; 2], precision: Precision) -> Result<Matrix, ModelError> {
        Ok(Matrix::from_transposed([rows, cols], &self.take_stored(name, &[cols, rows])?, precision))
    }

    fn take_stored(&mut self, name: &str, shape: &[usize]) -> Result<Stored, ModelError> {
        let Some(entry) = self.entries.get_mut(name) else {
            return Err(ModelError::invalid(
                &self.path,
                format!("the tensor `{name}` is missing (shape {shape:?} was expected)"),
            ));
        };
        let path = entry.file.path.clone();
        if entry.shape != shape {
            return Err(ModelError::invalid(
                &path,
                format!("the tensor `{name}` has the shape {:?}, and {shape:?} was expected", entry.shape),
            ));
        }
        entry.taken = true;
        let (start, end) = (entry.file.data_start + entry.range.0, entry.file.data_start + entry.range.1);
        let bytes = &entry.file.map[start..end];
        // A header of odd length leaves the data unaligned: rare, and worth a copy.
        Ok(match entry.dtype {
            Dtype::F32 => Stored::F32(match bytemuck::try_cast_slice::<u8, f32>(bytes) {
                Ok(_) => Data::Mapped { file: Arc::clone(&entry.file), start, end },
                Err(_) => Data::owned(bytes.as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()),
            }),
            Dtype::BF16 | Dtype::F16 => {
                let bits = match bytemuck::try_cast_slice::<u8, u16>(bytes) {
                    Ok(_) => Data::Mapped { file: Arc::clone(&entry.file), start, end },
                    Err(_) => Data::owned(bytes.as_chunks::<2>().0.iter().map(|b| u16::from_le_bytes(*b)).collect()),
                };
                if entry.dtype == Dtype::BF16 { Stored::Bf16(bits) } else { Stored::F16(bits) }
            }
            other => {
                return Err(ModelError::refused(
                    &path,
                    format!(
                        "the tensor `{name}` is of dtype {other:?}; f32, f16 and bf16 are read\nhint: quantized checkpoints must be saved dequantized"
                    ),
                ));
            }
        })
    }

    /// Marks a tensor as known and not needed.
    pub fn ignore(&mut self, name: &str) {
        if let Some(entry) = self.entries.get_mut(name) {
            entry.taken = true;
        }
    }

    /// Refuses tensors that nobody took.
    pub fn finish(&self, meaning: &str) -> Result<(), ModelError> {
        let left: Vec<&String> = self.entries.iter().filter(|(_, entry)| !entry.taken).map(|(name, _)| name).collect();
        if left.is_empty() {
            return Ok(());
        }
        Err(ModelError::refused(
            &self.path,
            format!("{} of its {} tensors {meaning}: {}", left.len(), self.entries.len(), some_of(&left)),
        ))
    }

    /// Digest of the files' whole content, in the order of their names.
    pub fn digest(&self) -> blake3::Hash {
        let mut hasher = blake3::Hasher::new();
        let mut files: Vec<_> = self.files.iter().collect();
        files.sort_by(|a, b| a.path.file_name().cmp(&b.path.file_name()));
        for file in files {
            hasher.update(&(file.map.len() as u64).to_le_bytes());
            hasher.update_rayon(&file.map);
        }
        hasher.finalize()
    }
}

/// A file's bytes in memory of this process's own, on whole pages as those of a map are.
fn copy(file: &mut File, length: u64) -> std::io::Result<Mmap> {
    let mut map = MmapMut::map_anon(length as usize)?;
    file.read_exact(&mut map)?;
    map.make_read_only()
}

/// A safetensors error in the words of somebody who has the file and not its reader.
fn describe(error: &SafeTensorError, file: &[u8]) -> String {
    use SafeTensorError as E;
    let length = file.len();
    match error {
        E::HeaderTooLarge => "its header claims more than 100 MB: it is damaged, or no safetensors file".to_owned(),
        E::HeaderTooSmall | E::InvalidHeaderLength => {
            format!("its header claims more bytes than the file's {length}: it is truncated, or no safetensors file")
        }
        E::InvalidHeader(e) => format!("its header is not UTF-8 ({e})"),
        E::InvalidHeaderDeserialization(e) => format!("its header is not what safetensors writes ({e})"),
        E::MetadataIncompleteBuffer => {
            format!("its tensors do not fill the file's {length} bytes: it is truncated or was appended to")
        }
        E::InvalidOffset(name) => {
            format!("the byte range of the tensor `{name}` overlaps another, leaves a gap or leaves the file")
        }
        E::TensorInvalidInfo | E::ValidationOverflow => match misfit(file) {
            Some((name, info)) => {
                format!("the tensor `{name}` of shape {:?} and dtype {:?} does not fit its byte range", info.shape, info.dtype)
            }
            None => "a tensor's byte range does not fit its shape and dtype".to_owned(),
        },
        other => other.to_string(),
    }
}

/// The first tensor whose bytes are not those of its shape: the reader tells that there is one, and not which.
fn misfit(file: &[u8]) -> Option<(String, TensorInfo)> {
    let length = u64::from_le_bytes(*file.first_chunk()?) as usize;
    let header: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(file.get(8..)?.get(..length)?).ok()?;
    header.into_iter().filter_map(|(name, info)| Some((name, serde_json::from_value::<TensorInfo>(info).ok()?))).find(
        |(_, info)| {
            let values = info.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
            let bits = values.and_then(|values| values.checked_mul(info.dtype.bitsize()));
            bits.map(|bits| bits / 8) != info.data_offsets.1.checked_sub(info.data_offsets.0)
        },
    )
}
