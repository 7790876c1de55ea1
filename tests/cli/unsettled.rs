//! Settings that cannot be read: where the store, the key and the connections are is not known then, so nothing of a
//! default is read or written in their place.

use super::*;

#[test]
fn nothing_is_read_or_written_in_the_place_of_what_broken_settings_name() {
    let project = Project::new();
    project.write("tidegate.yaml", "store: var/state.db\nkey_file: var/my.key\nfoo: 1\n");
    let connect = &["connect", "json", "--name", "r", "--set", "url=http://127.0.0.1:9", "--untested"][..];
    for words in [
        &["runs", "list"][..],
        &["connections", "list"],
        &["connections", "rekey"],
        &["flows", "list"],
        &["call", "json.get", "path=/x"],
        connect,
    ] {
        let refused = project.run(words).code(1);
        for part in ["settings_unsound", "tidegate.yaml:3:1", "unknown_key"] {
            assert!(err(&refused).contains(part), "{words:?}: `{part}` is not in: {}", err(&refused));
        }
    }
    for name in ["tidegate.db", "tidegate.key", "var"] {
        assert!(!project.folder.path().join(name).exists(), "{name} was made");
    }
}
