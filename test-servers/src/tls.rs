//! Certificates for one server, by an authority that nobody else knows.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where the files are.
#[derive(Debug)]
pub(crate) struct Certificates {
    pub(crate) authority: PathBuf,
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
}

impl Certificates {
    /// Has `openssl` make an authority, and a certificate by it for `localhost` and `127.0.0.1`, good for two days.
    pub(crate) fn make(directory: &Path) -> Self {
        fs::write(
            directory.join("certificate.ext"),
            "basicConstraints=critical,CA:FALSE\nextendedKeyUsage=serverAuth\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n",
        )
        .expect("write the extensions of a certificate");
        let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
        let authority = [
            "req",
            "-x509",
            "-days",
            "2",
            "-subj",
            "/CN=jam test authority",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
        ];
        let request = [
            "req",
            "-new",
            "-subj",
            "/CN=localhost",
            "-keyout",
            "server.key",
            "-out",
            "server.csr",
        ];
        let sign = "x509 -req -days 2 -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -extfile certificate.ext -out server.crt";
        openssl(directory, authority.into_iter().chain(key));
        openssl(directory, request.into_iter().chain(key));
        openssl(directory, sign.split(' '));
        Self {
            authority: directory.join("ca.crt"),
            certificate: directory.join("server.crt"),
            key: directory.join("server.key"),
        }
    }
}

fn openssl<'a>(directory: &Path, arguments: impl Iterator<Item = &'a str>) {
    let output = Command::new("openssl")
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap_or_else(|error| panic!("could not run openssl, which scripts/fetch-test-servers installs: {error}"));
    assert!(
        output.status.success(),
        "openssl made no certificate: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}
