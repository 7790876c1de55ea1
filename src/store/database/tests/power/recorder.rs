//! What SQLite does to the files of one folder, in order: every write, truncation and sync goes through here on its
//! way. It takes the place of the system's VFS and changes the methods of the files that it opens (sqlite.org/vfs).
#![expect(unsafe_code, reason = "SQLite calls a VFS through C; only this recorder is one")]

use std::collections::HashMap;
use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::{Path, PathBuf};
use std::sync::Once;

use parking_lot::Mutex;
use rusqlite::ffi::{SQLITE_OK, sqlite3_file, sqlite3_io_methods, sqlite3_vfs, sqlite3_vfs_find, sqlite3_vfs_register};

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    Write {
        file: String,
        offset: usize,
        bytes: Vec<u8>,
    },
    Truncate {
        file: String,
        size: usize,
    },
    /// What was written to the file before is on the disk.
    Sync {
        file: String,
    },
    /// A commit was acknowledged.
    Acknowledged,
}

struct Recording {
    folder: PathBuf,
    events: Vec<Event>,
}

struct Opened {
    name: String,
    methods: usize,
}

static RECORDING: Mutex<Option<Recording>> = Mutex::new(None);
static OPENED: Mutex<Option<HashMap<usize, Opened>>> = Mutex::new(None);
static SYSTEM: Mutex<usize> = Mutex::new(0);
static REGISTER: Once = Once::new();

/// Records what happens to the files of this folder from now on.
pub fn begin(folder: &Path) {
    REGISTER.call_once(register);
    *RECORDING.lock() = Some(Recording { folder: folder.canonicalize().unwrap(), events: Vec::new() });
}

/// Notes that a commit was acknowledged.
pub fn acknowledged() {
    if let Some(recording) = RECORDING.lock().as_mut() {
        recording.events.push(Event::Acknowledged);
    }
}

/// What happened.
pub fn end() -> Vec<Event> {
    RECORDING.lock().take().map(|recording| recording.events).unwrap_or_default()
}

fn register() {
    // SAFETY: the VFS that is found lives as long as the process, and so does our copy, which is leaked.
    unsafe {
        let system = sqlite3_vfs_find(std::ptr::null());
        *SYSTEM.lock() = system as usize;
        let name = CString::new("recorder").unwrap();
        let ours = sqlite3_vfs { xOpen: Some(open), zName: name.into_raw(), pNext: std::ptr::null_mut(), ..*system };
        assert_eq!(sqlite3_vfs_register(Box::leak(Box::new(ours)), 1), SQLITE_OK);
    }
}

unsafe extern "C" fn open(
    _ours: *mut sqlite3_vfs,
    path: *const c_char,
    file: *mut sqlite3_file,
    flags: c_int,
    given: *mut c_int,
) -> c_int {
    // SAFETY: the arguments are SQLite's own, handed on as they came; the methods of a file that was opened are a
    // table that lives for ever, and so does our changed copy of it.
    unsafe {
        let system = *SYSTEM.lock() as *mut sqlite3_vfs;
        let Some(open) = (*system).xOpen else { return 1 };
        let outcome = open(system, path, file, flags, given);
        if outcome != SQLITE_OK || path.is_null() || (*file).pMethods.is_null() {
            return outcome;
        }
        let path = PathBuf::from(CStr::from_ptr(path).to_string_lossy().into_owned());
        let is_recorded = RECORDING.lock().as_ref().is_some_and(|recording| path.starts_with(&recording.folder));
        if is_recorded {
            let methods = (*file).pMethods;
            let ours =
                sqlite3_io_methods { xWrite: Some(write), xTruncate: Some(truncate), xSync: Some(sync), ..*methods };
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let opened = Opened { name, methods: methods as usize };
            OPENED.lock().get_or_insert_default().insert(file as usize, opened);
            (*file).pMethods = Box::leak(Box::new(ours));
        }
        outcome
    }
}

unsafe extern "C" fn write(file: *mut sqlite3_file, bytes: *const c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: as for `open`; `bytes` holds `amount` bytes.
    unsafe {
        let copy = std::slice::from_raw_parts(bytes.cast::<u8>(), usize::try_from(amount).unwrap()).to_vec();
        let (name, methods) = opened(file);
        note(Event::Write { file: name, offset: usize::try_from(offset).unwrap(), bytes: copy });
        (*methods).xWrite.map_or(1, |write| write(file, bytes, amount, offset))
    }
}

unsafe extern "C" fn truncate(file: *mut sqlite3_file, size: i64) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        let (name, methods) = opened(file);
        note(Event::Truncate { file: name, size: usize::try_from(size).unwrap() });
        (*methods).xTruncate.map_or(1, |truncate| truncate(file, size))
    }
}

unsafe extern "C" fn sync(file: *mut sqlite3_file, flags: c_int) -> c_int {
    // SAFETY: as for `open`.
    unsafe {
        let (name, methods) = opened(file);
        let outcome = (*methods).xSync.map_or(1, |sync| sync(file, flags));
        note(Event::Sync { file: name });
        outcome
    }
}

fn opened(file: *mut sqlite3_file) -> (String, *const sqlite3_io_methods) {
    let opened = OPENED.lock();
    let found = &opened.as_ref().unwrap()[&(file as usize)];
    (found.name.clone(), found.methods as *const sqlite3_io_methods)
}

fn note(event: Event) {
    if let Some(recording) = RECORDING.lock().as_mut() {
        recording.events.push(event);
    }
}
