//! Ports for listeners that a test starts, ends and starts again. They lie below those that the system gives to
//! whoever asks for any (32768 and up on Linux), so no other socket takes one while its host is down; a locked file
//! keeps each from the tests that run beside this one.

use std::fs::{self, File, TryLockError};
use std::net::TcpListener;
use std::sync::Mutex;

const FIRST: u16 = 17_000;
const PORTS: u16 = 15_000;

/// The locks of the ports that this process has; they go with it.
static HELD: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A port of 127.0.0.1 that is this test's until its process ends.
pub fn free_port() -> u16 {
    let folder = std::env::temp_dir().join("tidegate-test-ports");
    fs::create_dir_all(&folder).unwrap();
    // Neighbouring processes begin at different places.
    for step in 0..u32::from(PORTS) {
        let port = FIRST + u16::try_from((std::process::id() + step * 7) % u32::from(PORTS)).unwrap();
        let lock = File::create(folder.join(port.to_string())).unwrap();
        match lock.try_lock() {
            Ok(()) if TcpListener::bind(("127.0.0.1", port)).is_ok() => {
                HELD.lock().unwrap().push(lock);
                return port;
            }
            Ok(()) | Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => panic!("cannot lock the port {port}: {error}"),
        }
    }
    panic!("no port of {FIRST} to {} is free", FIRST + (PORTS - 1));
}
