//! What is told of files that change, and what is not.

use std::os::unix::fs::symlink;

use super::*;

const MOST: u64 = 4 << 20;

fn watch(paths: &[&Path]) -> FileWatch {
    FileWatch::new(paths.iter().map(|path| Known::look(path, MOST)).collect())
}

async fn tells(watch: &mut FileWatch) -> PathBuf {
    tokio::time::timeout(Duration::from_secs(20), watch.changed()).await.expect("the change was not told")
}

/// To be used with a paused clock, which runs as soon as nothing else does.
async fn tells_nothing(watch: &mut FileWatch) {
    let told = tokio::time::timeout(POLL * 5, watch.changed()).await;
    assert!(told.is_err(), "{told:?}");
}

#[tokio::test]
async fn a_change_is_told_whether_the_file_is_written_or_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "one").unwrap();
    let mut watch = watch(&[&path]);
    std::fs::write(&path, "two").unwrap();
    tells(&mut watch).await;
    for content in ["three", "four"] {
        let aside = directory.path().join("aside");
        std::fs::write(&aside, content).unwrap();
        std::fs::rename(&aside, &path).unwrap();
        tells(&mut watch).await;
    }
}

#[tokio::test]
async fn a_change_through_the_links_of_a_mounted_config_map_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    for (generation, content) in [("..1", "one"), ("..2", "two")] {
        std::fs::create_dir(root.join(generation)).unwrap();
        std::fs::write(root.join(generation).join("config.toml"), content).unwrap();
    }
    symlink("..1", root.join("..data")).unwrap();
    symlink("..data/config.toml", root.join("config.toml")).unwrap();
    let mut watch = watch(&[&root.join("config.toml")]);
    symlink("..2", root.join("..data_tmp")).unwrap();
    std::fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    tells(&mut watch).await;
}

#[tokio::test]
async fn each_of_several_files_is_watched_wherever_it_is() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let paths =
        [one.path().join("config.toml"), other.path().join("app.conf.j2"), other.path().join("ca.pem")];
    for path in &paths {
        std::fs::write(path, "one").unwrap();
    }
    let mut watch = watch(&[&paths[0], &paths[1], &paths[2]]);
    for path in paths.iter().rev() {
        std::fs::write(path, "two").unwrap();
        assert_eq!(tells(&mut watch).await, *path);
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_that_changes_nothing_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "one").unwrap();
    let mut watch = watch(&[&path]);
    std::fs::write(&path, "one").unwrap();
    tells_nothing(&mut watch).await;
}

#[tokio::test(start_paused = true)]
async fn what_changed_between_the_first_look_and_the_watch_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "one").unwrap();
    let known = Known::look(&path, MOST);
    std::fs::write(&path, "two").unwrap();
    let mut watch = FileWatch::new(vec![known]);
    assert_eq!(tells(&mut watch).await, path);
    tells_nothing(&mut watch).await;
}

#[tokio::test(start_paused = true)]
async fn a_file_that_is_gone_is_told_once_and_again_when_it_is_back() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    std::fs::write(&path, "one").unwrap();
    let mut watch = watch(&[&path]);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(tells(&mut watch).await, path);
    tells_nothing(&mut watch).await;
    std::fs::write(&path, "one").unwrap();
    assert_eq!(tells(&mut watch).await, path);
    tells_nothing(&mut watch).await;
}

#[test]
fn a_file_that_is_gone_for_a_moment_is_being_replaced() {
    let begun = Instant::now();
    let after = |millis| begun + Duration::from_millis(millis);
    let mut told = Told { content: Some(1), missed: None };
    // Any number of looks within that time are one.
    for millis in [0, 200, 1_999] {
        assert!(!told.differs(None, after(millis)), "{millis}");
    }
    assert!(!told.differs(Some(1), after(2_000)), "the same is back");
    assert!(!told.differs(None, after(5_000)), "the time begins anew");
    assert!(told.differs(Some(2), after(5_200)), "another one is in its place");
    assert!(!told.differs(None, after(9_000)));
    assert!(told.differs(None, after(11_000)));
    assert!(!told.differs(None, after(60_000)), "once");
    assert!(told.differs(Some(2), after(60_200)));
}

#[tokio::test(start_paused = true)]
async fn all_that_its_reader_takes_is_watched_and_one_that_becomes_too_large_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.toml");
    let most = usize::try_from(MOST).unwrap();
    let mut text = vec![b'#'; most];
    std::fs::write(&path, &text).unwrap();
    let mut watch = watch(&[&path]);
    text[most - 1] = b'\n';
    std::fs::write(&path, &text).unwrap();
    tells(&mut watch).await;
    text.extend(b"# more");
    std::fs::write(&path, &text).unwrap();
    tells(&mut watch).await;
    tells_nothing(&mut watch).await;
}

#[test]
fn a_pipe_is_neither_waited_for_nor_read() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pipe");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    assert_eq!(Known::look(&path, MOST).content, None);
}
