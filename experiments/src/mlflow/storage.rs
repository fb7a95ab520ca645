use std::path::{Path, PathBuf};

use url::Url;

use super::client::Client;
use super::error::MlflowError;

/// A folder of artefacts that is reached through the tracking server.
pub(super) struct Storage<'a> {
    client: &'a Client,
    /// Path of the folder on the server, coded for an address.
    root: String,
}

const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

impl<'a> Storage<'a> {
    /// The folder that a run or model has its artefacts in.
    ///
    /// # Errors
    /// The server does not pass artefacts on.
    pub(super) fn new(client: &'a Client, uri: &str) -> Result<Self, MlflowError> {
        let foreign = || MlflowError::Storage { server: client.server().into(), uri: uri.into() };
        let url = Url::parse(uri).map_err(|_| foreign())?;
        let path = match url.scheme() {
            "mlflow-artifacts" => url.path(),
            // Some servers give the proxy's own address.
            "http" | "https" => url.path().split_once(PROXY).map(|(_, path)| path).ok_or_else(foreign)?,
            _ => return Err(foreign()),
        };
        Ok(Self { client, root: format!("{PROXY}/{}", path.trim_matches('/')) })
    }

    /// Sends a file, or all files of a folder, into a folder of the storage. Repeating is
    /// harmless: a file replaces itself.
    pub(super) fn upload(&self, local: &Path, folder: &str) -> Result<(), MlflowError> {
        if !local.is_dir() {
            let name = local.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            return self.client.put_file(&self.address(&join(folder, &name)), local);
        }
        for file in files(local)? {
            let relative = file.strip_prefix(local).unwrap_or(&file);
            let relative: Vec<_> = relative.iter().map(|part| part.to_string_lossy()).collect();
            self.client.put_file(&self.address(&join(folder, &relative.join("/"))), &file)?;
        }
        Ok(())
    }

    /// Writes a text as a file of the storage.
    pub(super) fn write(&self, name: &str, text: String) -> Result<(), MlflowError> {
        self.client.put_text(&self.address(name), text)
    }

    /// Brings a file of the storage here.
    pub(super) fn download(&self, name: &str, local: &Path) -> Result<(), MlflowError> {
        self.client.get_file(&self.address(name), local)
    }

    fn address(&self, name: &str) -> String {
        let mut url = self.client.config().server.clone();
        url.set_path("");
        if let Ok(mut path) = url.path_segments_mut() {
            path.clear().extend(name.split('/'));
        }
        format!("{}{}", self.root, url.path())
    }
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.into() } else { format!("{folder}/{name}") }
}

/// Files of a folder and its folders, in order of name. Links are not followed.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, MlflowError> {
    let read = |source| MlflowError::file("read", folder, source);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(read)? {
        let entry = entry.map_err(read)?;
        let kind = entry.file_type().map_err(read)?;
        if kind.is_dir() {
            found.extend(files(&entry.path())?);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::super::config::MlflowConfig;
    use super::*;

    #[test]
    fn addresses_go_through_the_server() {
        let client = Client::new(MlflowConfig::new(Url::parse("http://h:1/base").unwrap())).unwrap();
        let storage = Storage::new(&client, "mlflow-artifacts:/3/ab/artifacts").unwrap();
        assert_eq!(
            storage.address("report/a b#1.html"),
            "/api/2.0/mlflow-artifacts/artifacts/3/ab/artifacts/report/a%20b%231.html"
        );
        let direct = Storage::new(&client, "http://h:1/api/2.0/mlflow-artifacts/artifacts/3/ab").unwrap();
        assert_eq!(direct.address("x"), "/api/2.0/mlflow-artifacts/artifacts/3/ab/x");
        let error = Storage::new(&client, "s3://bucket/3/ab").err().unwrap().to_string();
        assert!(error.contains("s3://bucket/3/ab") && error.contains("--serve-artifacts"), "{error}");
    }
}
