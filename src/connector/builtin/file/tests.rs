use super::*;

fn inputs(path: &str, text: &str) -> Value {
    json!({"path": path, "text": text})
}

async fn append(files: &Files, path: &str, text: &str, journal: Option<Value>) -> Value {
    let prepared = files.prepare(&inputs(path, text), journal).unwrap();
    let journal = prepared.journal();
    files.append(prepared).await.unwrap();
    journal
}

#[tokio::test]
async fn lines_follow_each_other_and_a_repeat_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    let path = folder.path().join("a/items.jsonl");
    append(&files, "a/items.jsonl", "one", None).await;
    let journal = append(&files, "a/items.jsonl", "two", None).await;
    append(&files, "a/items.jsonl", "three\n", None).await;
    append(&files, "a/items.jsonl", "two", Some(journal)).await;
    assert_eq!(std::fs::read_to_string(path).unwrap(), "one\ntwo\nthree\n");
}

#[tokio::test]
async fn what_a_crash_tore_is_cut_off_and_written_again() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    let path = folder.path().join("items");
    std::fs::write(&path, "one\n").unwrap();
    let journal = files.prepare(&inputs("items", "two and more"), None).unwrap().journal();
    for torn in ["one\n", "one\ntwo an", "one\nother\ntwo", "one\ntwo and more"] {
        std::fs::write(&path, torn).unwrap();
        append(&files, "items", "two and more", Some(journal.clone())).await;
        let expected = if torn.contains("other") { "one\nother\ntwo and more\n" } else { "one\ntwo and more\n" };
        assert_eq!(std::fs::read_to_string(&path).unwrap(), expected, "{torn:?}");
    }
}

#[tokio::test]
async fn of_equal_texts_each_repeat_takes_its_own_line_and_none_that_is_anothers() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items");
    let files = Files::new(vec![folder.path().to_owned()]);
    // Four steps noted the empty file; two of them wrote before the process ended, one of which is known to be done.
    let journal = files.prepare(&inputs("items", "tick"), None).unwrap().journal();
    std::fs::write(&path, "tick\ntick\n").unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    append(&files, "items", "tick", Some(json!({"by": "new"}))).await;
    for (by, expected) in [("one", 3), ("other", 4), ("third", 5), ("one", 5), ("new", 5)] {
        let journal = json!({"path": journal["path"], "offset": journal["offset"], "taken": [0], "by": by});
        append(&files, "items", "tick", Some(journal)).await;
        let text = std::fs::read_to_string(&path).unwrap();
        assert_eq!(text, "tick\n".repeat(expected), "{by}");
    }
}

#[tokio::test]
async fn a_whole_line_is_not_cut_off_as_the_beginning_of_a_longer_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("items");
    let files = Files::new(vec![folder.path().to_owned()]);
    let journal = files.prepare(&inputs("items", "one\ntwo"), None).unwrap().journal();
    std::fs::write(&path, "one\n").unwrap();
    append(&files, "items", "one\ntwo", Some(journal)).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "one\none\ntwo\n");
}

#[tokio::test]
async fn a_line_of_someone_else_without_an_end_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    let path = folder.path().join("items");
    std::fs::write(&path, "unfinished").unwrap();
    append(&files, "items", "one", None).await;
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "unfinished\none\n");
}

#[tokio::test]
async fn concurrent_appends_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    let appends = (0..50).map(|number| {
        let prepared = files.prepare(&inputs("items", &format!("line {number}")), None).unwrap();
        files.append(prepared)
    });
    for result in futures_util::future::join_all(appends).await {
        result.unwrap();
    }
    let text = std::fs::read_to_string(folder.path().join("items")).unwrap();
    let mut lines: Vec<&str> = text.lines().collect();
    lines.sort_unstable();
    lines.dedup();
    assert_eq!(lines.len(), 50, "{text}");
}

#[tokio::test]
async fn paths_stay_below_the_permitted_folders() {
    let folder = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    let files = Files::new(vec![folder.path().to_owned()]);
    let absolute = outside.path().join("x").display().to_string();
    for path in ["../x", "a/../../x", absolute.as_str(), "", "/"] {
        assert_eq!(files.prepare(&inputs(path, "t"), None).unwrap_err().code, "file_refused", "{path}");
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(outside.path(), folder.path().join("link")).unwrap();
        let prepared = files.prepare(&inputs("link/x", "t"), None).unwrap();
        assert_eq!(files.append(prepared).await.unwrap_err().verdict, Verdict::Fail);
        assert!(!outside.path().join("x").exists());
    }
}
