//! A large upload by the program as a process: that all of it arrives, and how much memory it takes.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tidegate::sandbox::{self, Options, Sandbox};

/// As large as a video may be for X.
const BYTES: u64 = 512 * 1024 * 1024;
/// What the process may take at its most, without the pages of its own file: a debug build's are several times those
/// of a release build.
const MOST_MEMORY_KB: u64 = 64 * 1024;
/// The beginning of an MP4 file (ISO 14496-12: a box of 24 bytes, `ftyp`, the brand `mp42`).
const BEGINNING: &[u8] = b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom";

#[tokio::test(flavor = "multi_thread")]
async fn half_a_gigabyte_is_uploaded_in_little_memory() {
    let sandbox = Sandbox::start(Options::default()).await.unwrap();
    let project = tempfile::tempdir().unwrap();
    let settings = json!({
        "egress": {"allow": ["127.0.0.1:*"]},
        "connections": {"brand": {
            "connector": "x",
            "hosts": {"api": sandbox.x_url()},
            "fields": {
                "consumer_key": sandbox::X_CONSUMER_KEY,
                "consumer_secret": sandbox::X_CONSUMER_SECRET,
                "access_token": sandbox::X_ACCESS_TOKEN,
                "access_token_secret": sandbox::X_ACCESS_TOKEN_SECRET,
            },
        }},
    });
    fs::write(project.path().join("tidegate.yaml"), settings.to_string()).unwrap();
    fs::create_dir(project.path().join("files")).unwrap();
    // A sparse file: it takes no room on the disk.
    let mut file = fs::File::create(project.path().join("files/wave.mp4")).unwrap();
    file.write_all(BEGINNING).unwrap();
    file.set_len(BYTES).unwrap();
    drop(file);

    let mut child = Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["call", "x.upload_media", "path=wave.mp4", "--output", "json", "--dir"])
        .arg(project.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut most_kb = 0;
    let status = loop {
        most_kb = peak_kb(&child).unwrap_or(most_kb);
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    let (mut output, mut told) = (String::new(), String::new());
    child.stdout.take().unwrap().read_to_string(&mut output).unwrap();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(status.success(), "{output}{told}");
    let output: Value = serde_json::from_str(&output).unwrap();
    let uploaded = &output["output"];
    assert_eq!((uploaded["bytes"].as_u64(), uploaded["kind"].as_str()), (Some(BYTES), Some("video")), "{output}");
    assert_eq!(sandbox.control().uploads(), [(BYTES, Some(content_sha256()))]);
    assert!(most_kb > 0, "the memory of the process was never seen");
    assert!(most_kb < MOST_MEMORY_KB, "the process took {most_kb} kB");
    println!("at most {most_kb} kB");
}

/// The most memory that a process has had so far, without what its files take now; none once it has ended.
fn peak_kb(child: &Child) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).ok()?;
    let kb = |name: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse().ok()
    };
    kb("VmHWM:")?.checked_sub(kb("RssFile:")?)
}

fn content_sha256() -> String {
    let mut hash = Sha256::new();
    hash.update(BEGINNING);
    let zeros = vec![0; 1024 * 1024];
    let mut left = BYTES - BEGINNING.len() as u64;
    while left > 0 {
        let length = left.min(zeros.len() as u64);
        hash.update(&zeros[..usize::try_from(length).unwrap()]);
        left -= length;
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}
