//! Whatever fails, what was published before is still published, and nothing is left behind.

use std::os::unix::fs::symlink;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::*;

const STEPS: [Step; 9] = [
    Step::Stage,
    Step::WriteFile,
    Step::SyncGeneration,
    Step::ReadBackStaged,
    Step::Link,
    Step::SyncNames,
    Step::Swap,
    Step::SyncStore,
    Step::ReadBackPublished,
];

/// Makes a publisher's nth time at a step fail.
fn failing_at(place: &Place, step: Step, nth: usize) -> Publisher {
    let times = Mutex::new(0);
    place.interrupted(move |reached| {
        if reached != step {
            return Ok(());
        }
        let mut times = times.lock().unwrap();
        *times += 1;
        if *times == nth { Err(Errno::NOSPC) } else { Ok(()) }
    })
}

#[test]
fn a_failure_at_any_step_leaves_the_generation_before_in_place() {
    for step in STEPS {
        for nth in if step == Step::WriteFile { 1..=4 } else { 1..=1 } {
            let place = Place::new();
            place.publish(1);
            place.publish(2);
            // So that there is a link to make.
            fs::remove_file(place.path("username")).unwrap();
            let generations = place.generations();
            let fault = place.try_publish(&failing_at(&place, step, nth), 3).unwrap_err();
            assert!(fault.reason.contains("No space left"), "{fault}");
            assert!(fault.path.starts_with(place.path("").to_str().unwrap()), "{step:?}: {fault}");
            if matches!(step, Step::SyncStore | Step::ReadBackPublished) {
                // It was published for a moment, and readers may have opened it.
                place.publisher.inspect(&store()).swept.unwrap();
            }
            assert_eq!(place.generations(), generations, "{step:?}");
            assert_eq!(fs::read_to_string(place.path("api_token")).unwrap(), "token2");
            place.publish(3);
            assert_eq!(place.published(), Some(3), "{step:?}");
        }
    }
}

#[test]
fn the_same_failure_is_told_in_the_same_words_each_time() {
    for step in STEPS {
        let place = Place::new();
        place.publish(1);
        fs::remove_file(place.path("username")).unwrap();
        let tell = || place.try_publish(&failing_at(&place, step, 1), 2).unwrap_err().to_string();
        assert_eq!(tell(), tell(), "{step:?}");
    }
}

#[test]
fn a_failure_at_the_first_publication_publishes_nothing() {
    for step in STEPS {
        let place = Place::new();
        place.try_publish(&failing_at(&place, step, 1), 1).unwrap_err();
        assert_eq!(place.published(), None, "{step:?}");
        assert_eq!(place.generations(), Vec::<String>::new(), "{step:?}");
        place.publish(1);
        assert_eq!(place.published(), Some(1), "{step:?}");
    }
}

#[test]
fn a_swap_that_is_undone_leaves_its_generation_to_those_who_have_opened_it() {
    for step in [Step::SyncStore, Step::ReadBackPublished] {
        let place = Place::new();
        place.publish(1);
        place.publish(2);
        let opened = Arc::new(Mutex::new(None));
        let (open, data) = (Arc::clone(&opened), place.path("..data"));
        let reading = place.interrupted(move |reached| {
            if reached != step {
                return Ok(());
            }
            *open.lock().unwrap() = Some(Directory::at(&data).unwrap());
            Err(Errno::IO)
        });
        place.try_publish(&reading, 3).unwrap_err();
        let opened = opened.lock().unwrap().take().unwrap();
        let directory::Content::Whole(token, _) = opened.read("api_token", 100).unwrap() else {
            panic!("{step:?}: it cannot be read to its end");
        };
        assert_eq!(*token, b"token3", "{step:?}");
        assert_eq!(fs::read_to_string(place.path("api_token")).unwrap(), "token2", "{step:?}");
    }
}

#[test]
fn a_staged_generation_that_somebody_took_away_is_not_swapped_in() {
    let place = Place::new();
    place.publish(1);
    let (directory, before) = (place.path(""), place.generations());
    let robbed = place.interrupted(move |reached| {
        if reached == Step::Swap {
            let staged = names(&directory).into_iter().filter(|name| name.starts_with("..20"));
            for name in staged.filter(|name| !before.contains(name)) {
                fs::remove_dir_all(directory.join(name)).unwrap();
            }
        }
        Ok(())
    });
    let fault = place.try_publish(&robbed, 2).unwrap_err();
    assert_eq!(fault.operation, "cannot publish", "{fault}");
    assert!(fault.path.ends_with("acme/(new generation)"), "{fault}");
    assert_eq!(place.published(), Some(1));
}

#[test]
fn numbers_rise_also_when_what_was_published_cannot_be_read() {
    let place = Place::new();
    place.publish(6);
    place.publish(7);
    let before = fs::read_link(place.path("..data")).unwrap().into_os_string().into_string().unwrap();
    fs::remove_file(place.path("api_token")).unwrap();
    // As after a start: nobody knows of the seven.
    let published = place.publish(1);
    assert_eq!(published.stamp.generation, 8);
    assert!(matches!(place.read(), OnDisk::Published(read) if read.stamp == published.stamp));
    // So what was published before is known as such, and stays for its readers.
    place.publisher.inspect(&store()).swept.unwrap();
    assert!(place.generations().contains(&before), "{:?}", place.names());
    assert_eq!(place.generations().len(), 2);
}

#[test]
fn what_cannot_be_removed_does_not_keep_the_rest() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    let kept = place.generations();
    // Deeper than anything that is removed.
    let (first, last) = ("..2001_01_01_00_00_00.1", "..2031_01_01_00_00_00.1");
    fs::create_dir_all(place.path(first).join("deep/".repeat(70))).unwrap();
    fs::create_dir(place.path(last)).unwrap();
    let fault = place.publisher.inspect(&store()).swept.unwrap_err();
    assert!(fault.path.ends_with(first), "{fault}");
    let mut left = kept;
    left.insert(0, first.to_owned());
    assert_eq!(place.generations(), left);
    assert_eq!(place.published(), Some(2));
}

#[test]
fn a_directory_that_somebody_fills_is_told_and_published_in_all_the_same() {
    let place = Place::new();
    place.publish(1);
    for number in 0..=directory::MAX_NAMES {
        symlink("/nowhere", place.path(&format!("stranger{number}"))).unwrap();
    }
    let fault = place.publisher.inspect(&store()).swept.unwrap_err();
    assert!(fault.to_string().contains("it holds more than 10000 names"), "{fault}");
    place.publish(2);
    assert_eq!(place.published(), Some(2));
}

#[test]
fn a_crash_at_any_step_leaves_a_whole_generation_and_is_swept() {
    for step in STEPS.into_iter().chain([Step::RemoveOlder]) {
        let place = Place::new();
        place.publish(1);
        place.publish(2);
        fs::remove_file(place.path("username")).unwrap();
        let crashing = place.interrupted(move |reached| {
            assert_ne!(reached, step, "crash");
            Ok(())
        });
        let crash = catch_unwind(AssertUnwindSafe(|| place.try_publish(&crashing, 3)));
        assert!(crash.is_err(), "{step:?}");
        place.publisher.inspect(&store()).swept.unwrap();
        assert!(place.generations().len() <= 2, "{step:?}: {:?}", place.names());
        let swapped = matches!(step, Step::SyncStore | Step::ReadBackPublished | Step::RemoveOlder);
        let token = fs::read_to_string(place.path("api_token")).unwrap();
        assert_eq!(token, if swapped { "token3" } else { "token2" }, "{step:?}");
        place.publish(4);
        assert_eq!(place.published(), Some(4), "{step:?}");
    }
}

#[test]
fn older_generations_that_cannot_be_removed_now_are_removed_later() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    let published = place.try_publish(&failing_at(&place, Step::RemoveOlder, 1), 3).unwrap();
    assert_eq!(published.stamp.generation, 3);
    assert_eq!(place.generations().len(), 3);
    place.publisher.inspect(&store()).swept.unwrap();
    assert_eq!(place.generations().len(), 2);
    assert_eq!(place.published(), Some(3));
}

#[test]
fn a_sweep_keeps_the_published_generation_the_one_before_and_what_is_not_ours() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    let mut kept = place.names();
    for (name, content) in [("..2026_11_23_05_51_22.1", None), ("..2031_01_01_00_00_00.77", Some("half"))] {
        fs::create_dir(place.path(name)).unwrap();
        if let Some(content) = content {
            fs::create_dir(place.path(name).join("deep")).unwrap();
            fs::write(place.path(name).join("deep/api_token"), content).unwrap();
        }
    }
    symlink("/etc", place.path("..data_tmp")).unwrap();
    symlink("/etc", place.path("..username_tmp")).unwrap();
    symlink("/etc", place.path("..2031_01_01_00_00_00.78")).unwrap();
    fs::create_dir(place.path("..notes")).unwrap();
    fs::write(place.path("README"), "mine").unwrap();
    kept.extend(["..notes".to_owned(), "README".to_owned()]);
    kept.sort();
    place.publisher.inspect(&store()).swept.unwrap();
    assert_eq!(place.names(), kept);
    assert_eq!(place.published(), Some(2));
}

#[test]
fn a_sweep_removes_no_generation_when_it_cannot_tell_which_is_published() {
    let place = Place::new();
    place.publish(1);
    place.publish(2);
    fs::remove_file(place.path("..data")).unwrap();
    symlink("/etc", place.path("..data")).unwrap();
    place.publisher.inspect(&store()).swept.unwrap();
    assert_eq!(place.generations().len(), 2);
}

#[test]
fn a_sweep_of_nothing_is_no_fault() {
    let place = Place::new();
    place.publisher.inspect(&store()).swept.unwrap();
    place.publisher.prepare().unwrap();
    place.publisher.inspect(&store()).swept.unwrap();
    assert_eq!(names(&place.output.directory), Vec::<String>::new());
}

#[test]
fn an_output_directory_that_is_a_file_is_a_fault() {
    let place = Place::new();
    fs::write(&place.output.directory, "").unwrap();
    for fault in [
        place.publisher.prepare().unwrap_err(),
        place.try_publish(&place.publisher, 1).unwrap_err(),
        place.publisher.inspect(&store()).found.unwrap_err(),
    ] {
        assert_eq!(fault.operation, "cannot open");
        assert_eq!(fault.path, place.output.directory.display().to_string());
        assert!(fault.reason.contains("Not a directory"), "{fault}");
    }
}

#[test]
fn directories_above_the_output_directory_are_made_when_they_are_missing() {
    let place = Place::with(|output| output.directory = output.directory.join("deeper/still"));
    place.publisher.prepare().unwrap();
    assert!(place.try_publish(&place.publisher, 1).is_ok());
}

#[test]
fn a_planted_link_in_place_of_the_stores_directory_is_refused() {
    let place = Place::new();
    let elsewhere = place.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    place.publisher.prepare().unwrap();
    symlink(&elsewhere, place.output.directory.join("acme")).unwrap();
    let fault = place.try_publish(&place.publisher, 1).unwrap_err();
    assert!(fault.reason.contains("not followed"), "{fault}");
    assert_eq!(names(&elsewhere), Vec::<String>::new());
    assert_eq!(mode(&elsewhere), mode(place.root.path()) | mode(&elsewhere));
    assert_eq!(place.damage(), "acme: it is not a directory");
}

#[test]
fn planted_temporaries_do_not_matter() {
    let place = Place::new();
    place.publish(1);
    let elsewhere = place.root.path().join("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("file"), "mine").unwrap();
    symlink(&elsewhere, place.path("..data_tmp")).unwrap();
    fs::remove_file(place.path("api_token")).unwrap();
    fs::create_dir_all(place.path("..api_token_tmp/deep")).unwrap();
    fs::write(place.path("..api_token_tmp/deep/file"), "").unwrap();
    symlink(elsewhere.join("file"), place.path("..api_token_tmp/deep/link")).unwrap();
    place.publish(2);
    assert_eq!(place.published(), Some(2));
    assert_eq!(fs::read_to_string(elsewhere.join("file")).unwrap(), "mine");
    assert!(!place.names().iter().any(|name| name.ends_with("_tmp")));
}
