use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use super::zip_entry::{self, ZipEntry};
use crate::sources::{FileFormat, FilesConfig, SourceError};

/// One file to read.
#[derive(Clone, Debug)]
pub(super) struct InputFile {
    /// Where it, or the archive that holds it, lies.
    pub path: PathBuf,
    /// Its name for a person, relative to the pipeline file where it can be.
    pub label: Arc<str>,
    pub format: FileFormat,
    pub delimiter: u8,
    pub is_gzip: bool,
    pub entry: Option<ZipEntry>,
    /// Bytes on disk.
    pub bytes: u64,
    /// Nanoseconds since 1970 of the last change.
    pub modified_ns: u128,
}

/// The files that the configuration names, in the order of their names.
pub(super) fn locate(config: &FilesConfig, base_dir: &Path) -> Result<Vec<InputFile>, SourceError> {
    let path = base_dir.join(&config.path);
    let named = |paths: Vec<PathBuf>, is_folder: bool| {
        let mut files = Vec::new();
        for path in paths {
            Search { config, base_dir, is_folder }.add(&path, &mut files)?;
        }
        Ok::<_, SourceError>(files)
    };
    let files = match fs::metadata(&path) {
        Ok(found) if found.is_dir() => named(walk(&path)?, true)?,
        Ok(_) => named(vec![path.clone()], false)?,
        Err(error) if !matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            return Err(SourceError::Read { path: config.path.clone(), source: error });
        }
        Err(_) => match inside_zip(&path) {
            Some((archive, pattern)) => {
                Search { config, base_dir, is_folder: false }.zip(&archive, Some(&pattern))?
            }
            None => named(matching(config, base_dir)?, false)?,
        },
    };
    if files.is_empty() {
        return Err(SourceError::NoFiles { path: path.display().to_string() });
    }
    one_format(config, &files)?;
    Ok(files)
}

struct Search<'a> {
    config: &'a FilesConfig,
    base_dir: &'a Path,
    /// Whether the files were found in a folder rather than named: then others may lie beside them.
    is_folder: bool,
}

impl Search<'_> {
    fn add(&self, path: &Path, files: &mut Vec<InputFile>) -> Result<(), SourceError> {
        if has_extension(path, "zip") {
            files.extend(self.zip(path, None)?);
        } else if let Some(file) = self.file(path, &path.to_string_lossy(), self.is_folder)? {
            files.push(file);
        }
        Ok(())
    }

    /// The data files of an archive; with a pattern those that match it.
    fn zip(&self, path: &Path, pattern: Option<&str>) -> Result<Vec<InputFile>, SourceError> {
        let entries = zip_entry::list(path).map_err(|source| self.read_error(path, source))?;
        let pattern = pattern.map(pattern_of).transpose()?;
        let is_wanted = |entry: &ZipEntry| match &pattern {
            Some(pattern) => pattern.matches(&entry.name),
            None => !entry.name.split('/').any(is_hidden),
        };
        let wanted: Vec<ZipEntry> = entries.into_iter().filter(is_wanted).collect();
        let may_skip = wanted.len() > 1;
        let mut files = Vec::new();
        for entry in wanted {
            let Some(mut file) = self.file(path, &entry.name, may_skip)? else { continue };
            if file.format == FileFormat::Parquet || file.is_gzip {
                let reason = format!("{} cannot be read inside an archive: unpack it first", entry.name);
                return Err(SourceError::Malformed { path: path.display().to_string(), reason });
            }
            file.label = format!("{}/{}", file.label, entry.name).into();
            file.bytes = entry.bytes;
            file.entry = Some(entry);
            files.push(file);
        }
        Ok(files)
    }

    /// A file by its name. One that says nothing of a format is left out when it was only found
    /// lying there, and an error when it was named.
    fn file(&self, path: &Path, name: &str, may_skip: bool) -> Result<Option<InputFile>, SourceError> {
        let found = NameSays::of(name);
        let format = match (self.config.format, found.format) {
            (Some(set), Some(says)) if may_skip && set != says && !found.is_txt => return Ok(None),
            (Some(set), _) => set,
            (None, Some(_)) if found.is_txt && may_skip => return Ok(None),
            (None, Some(says)) => says,
            (None, None) if may_skip => return Ok(None),
            (None, None) => {
                let reason =
                    "the name does not say the format: set source.format to csv, jsonl or parquet".into();
                return Err(SourceError::Malformed { path: self.label(path), reason });
            }
        };
        if format == FileFormat::Parquet && found.is_gzip {
            let reason = "Parquet is compressed inside, a packed file cannot be read: unpack it first".into();
            return Err(SourceError::Malformed { path: self.label(path), reason });
        }
        let metadata = fs::metadata(path).map_err(|source| self.read_error(path, source))?;
        let modified = metadata.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
        let default = if found.is_tab { b'\t' } else { b',' };
        Ok(Some(InputFile {
            path: path.to_owned(),
            label: self.label(path).into(),
            format,
            delimiter: self.config.delimiter.and_then(|c| u8::try_from(c).ok()).unwrap_or(default),
            is_gzip: found.is_gzip,
            entry: None,
            bytes: metadata.len(),
            modified_ns: modified.map_or(0, |d| d.as_nanos()),
        }))
    }

    fn label(&self, path: &Path) -> String {
        path.strip_prefix(self.base_dir).unwrap_or(path).display().to_string()
    }

    fn read_error(&self, path: &Path, source: io::Error) -> SourceError {
        SourceError::Read { path: self.label(path), source }
    }
}

/// What a file name tells.
struct NameSays {
    format: Option<FileFormat>,
    is_gzip: bool,
    is_tab: bool,
    is_txt: bool,
}

impl NameSays {
    fn of(name: &str) -> Self {
        let lower = name.to_lowercase();
        let (stem, is_gzip) = match lower.strip_suffix(".gz") {
            Some(stem) => (stem, true),
            None => (lower.as_str(), false),
        };
        let extension =
            stem.rsplit(['/', '\\']).next().and_then(|n| n.rsplit_once('.')).map_or("", |(_, e)| e);
        let format = match extension {
            "csv" | "tsv" | "txt" => Some(FileFormat::Csv),
            "jsonl" | "ndjson" | "json" => Some(FileFormat::Jsonl),
            "parquet" => Some(FileFormat::Parquet),
            _ => None,
        };
        Self { format, is_gzip, is_tab: extension == "tsv", is_txt: extension == "txt" }
    }
}

/// All files under a folder, by name; hidden ones and those that start with `_` are not data.
fn walk(folder: &Path) -> Result<Vec<PathBuf>, SourceError> {
    let read_error = |source| SourceError::Read { path: folder.display().to_string(), source };
    let mut entries =
        fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(read_error)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    let mut files = Vec::new();
    for entry in entries {
        if is_hidden(&entry.file_name().to_string_lossy()) {
            continue;
        }
        let path = entry.path();
        match fs::metadata(&path) {
            Ok(found) if found.is_dir() => files.extend(walk(&path)?),
            Ok(_) => files.push(path),
            Err(source) => return Err(SourceError::Read { path: path.display().to_string(), source }),
        }
    }
    Ok(files)
}

fn is_hidden(name: &str) -> bool {
    name.starts_with(['.', '_'])
}

/// The files that a glob matches, by name.
fn matching(config: &FilesConfig, base_dir: &Path) -> Result<Vec<PathBuf>, SourceError> {
    if !config.path.contains(['*', '?', '[']) {
        return Ok(Vec::new());
    }
    // Only what the user wrote is a pattern; the folder of the pipeline file may hold brackets.
    let base = glob::Pattern::escape(&base_dir.to_string_lossy());
    let pattern = Path::new(&base).join(&config.path);
    let found = glob::glob(&pattern.to_string_lossy()).map_err(|e| bad_pattern(&config.path, &e))?;
    let mut files = Vec::new();
    for path in found {
        let path =
            path.map_err(|e| SourceError::Read { path: e.path().display().to_string(), source: e.into() })?;
        if path.is_file() {
            files.push(path);
        }
    }
    Ok(files)
}

/// Splits `a/b.zip/c.csv` where `a/b.zip` is a file.
fn inside_zip(path: &Path) -> Option<(PathBuf, String)> {
    let archive = path.ancestors().skip(1).find(|p| has_extension(p, "zip") && p.is_file())?;
    let inner = path.strip_prefix(archive).ok()?;
    Some((archive.to_owned(), inner.to_string_lossy().replace('\\', "/")))
}

fn has_extension(path: &Path, extension: &str) -> bool {
    path.extension().is_some_and(|e| e.eq_ignore_ascii_case(extension))
}

fn pattern_of(text: &str) -> Result<glob::Pattern, SourceError> {
    glob::Pattern::new(text).map_err(|e| bad_pattern(text, &e))
}

fn bad_pattern(text: &str, error: &glob::PatternError) -> SourceError {
    SourceError::Config { key: "path", reason: format!("{text} is not a glob: {error}") }
}

fn one_format(config: &FilesConfig, files: &[InputFile]) -> Result<(), SourceError> {
    let first = files[0].format;
    match files.iter().find(|file| file.format != first) {
        Some(other) => Err(SourceError::Malformed {
            path: config.path.clone(),
            reason: format!(
                "{} and {} have different formats: set source.format, or name the files with a glob such as *.csv",
                files[0].label, other.label
            ),
        }),
        None => Ok(()),
    }
}
