//! A PostgreSQL for tests, from the programs of the distribution's package. All tests of this user share one
//! server, whichever process they are in, with a database each; the first starts it, and a watcher ends it
//! some seconds after the last. What is done to a server itself is done to one of its own ([`Server::start`]).

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// A server of its own, with durable commits; gone with this value.
pub struct Server {
    directory: PathBuf,
    options: String,
}

/// A new, empty database; gone with this value.
pub struct Database {
    directory: PathBuf,
    name: String,
}

/// A database on the server that all tests share.
pub fn database() -> Database {
    make(shared())
}

impl Database {
    /// As `--store` takes it.
    pub fn url(&self) -> String {
        let folder = self.directory.to_str().unwrap().replace('/', "%2F");
        format!("postgres://postgres@{folder}/{}", self.name)
    }

    /// Whether a statement is refused.
    pub fn fails(&self, text: &str) -> bool {
        !client(&self.directory, &self.name, text).output().unwrap().status.success()
    }

    /// What a statement answers: a line per row, columns parted by `|`.
    pub fn sql(&self, text: &str) -> String {
        psql(&self.directory, &self.name, text)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // The server may have been stopped by the test.
        let text = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        client(&self.directory, "postgres", &text).output().unwrap();
    }
}

impl Server {
    pub fn start() -> Server {
        let directory = own();
        begin(&directory, DURABLE);
        Server { directory, options: DURABLE.to_owned() }
    }

    /// One that speaks TLS on this port of 127.0.0.1 as `localhost`, with the file of its certificate.
    pub fn start_encrypted(port: u16) -> (Server, PathBuf) {
        let directory = own();
        begin(&directory, DURABLE);
        let mut server = Server { options: DURABLE.to_owned(), directory };
        server.stop("fast");
        let (key, certificate) = (server.directory.join("key.pem"), server.directory.join("certificate.pem"));
        let mut openssl = as_owner("openssl");
        openssl.args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]);
        openssl.args(["-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE"]);
        openssl.arg("-keyout").arg(&key).arg("-out").arg(&certificate);
        check("openssl", &mut openssl);
        server.options = format!(
            "{DURABLE} -c listen_addresses=127.0.0.1 -p {port} -c ssl=on -c ssl_key_file={} -c ssl_cert_file={}",
            key.display(),
            certificate.display()
        );
        server.start_again();
        (server, certificate)
    }

    pub fn database(&self) -> Database {
        make(&self.directory)
    }

    /// `smart`, `fast` or `immediate`; the last is a crash, after which the server recovers.
    pub fn stop(&self, mode: &str) {
        let data = self.directory.join("data");
        check("pg_ctl", as_owner("pg_ctl").args(["-m", mode, "-w", "stop", "-D"]).arg(data));
    }

    pub fn start_again(&self) {
        launch(&self.directory, &self.options);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.directory.join("data");
        // It may be down already.
        as_owner("pg_ctl").args(["-m", "immediate", "-w", "stop", "-D"]).arg(data).output().unwrap();
        fs::remove_dir_all(&self.directory).unwrap();
    }
}

const DURABLE: &str = "-c fsync=on";

fn own() -> PathBuf {
    std::env::temp_dir().join(format!("tidegate-postgres-{}", uuid::Uuid::new_v4().simple()))
}

fn make(directory: &Path) -> Database {
    let name = format!("test_{}", uuid::Uuid::new_v4().simple());
    psql(directory, "postgres", &format!("CREATE DATABASE {name}"));
    Database { directory: directory.to_owned(), name }
}

/// The directory of the server that all tests share, which is at work until this process ends.
fn shared() -> &'static Path {
    static SHARED: OnceLock<(PathBuf, File)> = OnceLock::new();
    let (directory, _) = SHARED.get_or_init(|| {
        let directory = std::env::temp_dir().join(format!("tidegate-postgres-{}", owner()));
        let path = directory.with_extension("lock");
        let open = |path: &Path| File::options().append(true).create(true).open(path).unwrap();
        // Two of them: whoever comes waits for nobody who is at work, only for one who starts the server or ends it.
        let (lock, starting) = (open(&path), open(&directory.with_extension("starting")));
        starting.lock().unwrap();
        lock.lock_shared().unwrap();
        if !client(&directory, "postgres", "SELECT 1").output().unwrap().status.success() {
            begin(&directory, "-c fsync=off -c full_page_writes=off");
            watch(&directory, &path);
        }
        // For the watcher to see that somebody came.
        #[expect(clippy::disallowed_methods, reason = "the time of a file, for another process")]
        lock.set_modified(std::time::SystemTime::now()).unwrap();
        (directory, lock)
    });
    directory
}

// Ends the server when for some seconds no process has held the lock.
fn watch(directory: &Path, lock: &Path) {
    let script = r#"
        while :; do
            seen=$(stat -c %y "$1")
            flock -x "$1" true
            sleep 5
            exec 9>>"$1"
            if [ "$(stat -c %y "$1")" = "$seen" ] && flock -xn 9; then
                "$@" >/dev/null 2>&1
                rm -rf "$0"
                exit
            fi
            exec 9>&-
        done"#;
    // `$0` is the directory, `$1` the lock, and what follows it ends the server.
    let script = script.replace("\"$@\"", "lock=$1; shift; \"$@\"");
    let mut end = as_owner("pg_ctl");
    end.args(["-m", "immediate", "stop", "-D"]).arg(directory.join("data"));
    let mut watcher = Command::new("setsid");
    watcher.args(["sh", "-c", &script]).arg(directory).arg(lock).arg(end.get_program()).args(end.get_args());
    #[expect(clippy::zombie_processes, reason = "it outlives this process, to end the server after the last one")]
    watcher.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
}

fn begin(directory: &Path, options: &str) {
    if directory.exists() {
        fs::remove_dir_all(directory).unwrap();
    }
    fs::create_dir(directory).unwrap();
    if is_root() {
        check("chown", Command::new("chown").arg("postgres:").arg(directory));
    }
    let data = directory.join("data");
    let mut initdb = as_owner("initdb");
    initdb.args(["-U", "postgres", "--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", "-D"]).arg(data);
    check("initdb", &mut initdb);
    launch(directory, options);
}

fn launch(directory: &Path, options: &str) {
    let folder = directory.display();
    let options = format!(
        "-c listen_addresses='' -c unix_socket_directories={folder} -c max_connections=300 -c shared_buffers=64MB \
         {options}"
    );
    let mut start = as_owner("pg_ctl");
    start.args(["-w", "-o", &options, "start", "-D"]).arg(directory.join("data"));
    start.arg("-l").arg(directory.join("log"));
    check("pg_ctl", &mut start);
}

fn psql(directory: &Path, database: &str, text: &str) -> String {
    let output = check("psql", &mut client(directory, database, text));
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

fn client(directory: &Path, database: &str, text: &str) -> Command {
    let mut psql = Command::new(program("psql"));
    psql.args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database, "-c", text]);
    psql.arg("-h").arg(directory).current_dir("/");
    psql
}

// The server refuses to run as root: it is the package's own user's then.
fn as_owner(name: &str) -> Command {
    let program = if name == "openssl" { PathBuf::from(name) } else { program(name) };
    let mut command = if is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command
    } else {
        Command::new(program)
    };
    command.current_dir("/").stdin(Stdio::null());
    command
}

fn check(what: &str, command: &mut Command) -> Output {
    // Not a pipe: the server would keep it open.
    let said = tempfile::tempfile().unwrap();
    let output = if what == "psql" {
        command.output().unwrap()
    } else {
        let status = command.stdout(said.try_clone().unwrap()).stderr(said.try_clone().unwrap()).status().unwrap();
        Output { status, stdout: Vec::new(), stderr: read(said) }
    };
    assert!(output.status.success(), "{what} failed: {}", String::from_utf8_lossy(&output.stderr));
    output
}

fn read(mut file: File) -> Vec<u8> {
    use std::io::{Read, Seek};
    file.rewind().unwrap();
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

fn owner() -> u32 {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid()
}

fn is_root() -> bool {
    owner() == 0
}

/// A program of PostgreSQL's: those that only a server needs are not on the path.
fn program(name: &str) -> PathBuf {
    let mut folders: Vec<PathBuf> = std::env::var_os("TIDEGATE_POSTGRES").map(PathBuf::from).into_iter().collect();
    if let Ok(entries) = fs::read_dir("/usr/lib/postgresql") {
        let mut versions: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
        versions.sort_by_key(|path| path.file_name().and_then(|name| name.to_str()?.parse::<u32>().ok()));
        folders.extend(versions.into_iter().rev().map(|path| path.join("bin")));
    }
    folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()));
    let found = folders.into_iter().map(|folder| folder.join(name)).find(|path| path.is_file());
    found.unwrap_or_else(|| {
        panic!(
            "PostgreSQL's `{name}` is missing, and the tests need it: install it (Debian, Ubuntu: apt-get install \
             postgresql), or name the folder of its programs in TIDEGATE_POSTGRES. A server need not be set up."
        )
    })
}
