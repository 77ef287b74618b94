//! What outlives a process: the marks of the coordinator, and the work that a worker saved.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tower_drain::{BoxError, DrainSnapshot};

use super::wire::{Instance, Job};

/// A worker that drains.
#[derive(Serialize, Deserialize)]
pub(crate) struct Mark {
    pub(crate) instance: Instance,
    pub(crate) evicted: Option<String>,
    pub(crate) drain: DrainSnapshot,
}

pub(crate) type Marks = BTreeMap<String, Mark>;

pub(crate) fn marks(file: &Path) -> Result<Marks, BoxError> {
    Ok(read(file)?.unwrap_or_default())
}

pub(crate) fn saved(directory: &Path) -> Result<Vec<Job>, BoxError> {
    let mut jobs = Vec::new();
    for entry in fs::read_dir(directory)? {
        let file = entry?.path();
        if file.extension().is_some_and(|ending| ending == "json") {
            jobs.extend(read::<Job>(&file)?);
        }
    }
    Ok(jobs)
}

fn read<T: DeserializeOwned>(file: &Path) -> Result<Option<T>, BoxError> {
    let failed = |error: BoxError| BoxError::from(format!("{}: {error}", file.display()));
    match fs::read(file) {
        Ok(text) => serde_json::from_slice(&text).map_err(|error| failed(error.into())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(error.into())),
    }
}

/// Whoever reads `file` finds what was there before or all of `value`, also after a crash in between.
pub(crate) fn write(file: &Path, value: &impl Serialize) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut writing = File::create(&new)?;
    writing.write_all(&serde_json::to_vec_pretty(value)?)?;
    writing.sync_all()?;
    fs::rename(&new, file)?;
    // The new name is in the directory, which is written on its own.
    match file.parent() {
        Some(directory) => File::open(directory)?.sync_all(),
        None => Ok(()),
    }
}
