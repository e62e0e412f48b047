//! Damage to the files: truncated at every byte, every bit flipped, lines lost, doubled and exchanged.

use std::fs;
use std::path::{Path, PathBuf};

use crate::file_support::{Place, all, id, record, until};
use jam_core::{ErrorKind, SessionStore};
use jam_json::{Durability, JsonFile, JsonFileOptions};

type Sessions = Vec<(String, String, Vec<u8>, Option<jam_core::Timestamp>)>;

/// Files as a crash left them, and what was in them after each write.
struct Wreck {
    place: Place,
    states: Vec<Sessions>,
}

impl Wreck {
    /// A document with two sessions and a journal with five changes.
    async fn new() -> Self {
        let place = Place::new();
        let store = place.open().await;
        store
            .insert(&id("u", "kept"), &record("{\"a\":1}"))
            .await
            .expect("insert");
        store
            .insert(&id("v", "ended"), &until("x", 5_000))
            .await
            .expect("insert");
        store.close().await.expect("close");
        let store = place.open().await;
        let mut states = vec![all(&store).await];
        store
            .insert(&id("u", "new"), &until("{\"b\":2}", 4_000))
            .await
            .expect("insert");
        states.push(all(&store).await);
        store
            .touch(&id("u", "new"), jam_core::Timestamp::from_secs(6_000))
            .await
            .expect("touch");
        states.push(all(&store).await);
        store.remove(&id("v", "ended")).await.expect("remove");
        states.push(all(&store).await);
        store
            .replace(&id("u", "kept"), None, &record("{\"a\":2}"))
            .await
            .expect("replace");
        states.push(all(&store).await);
        store.clear(id("u", "kept").key()).await.expect("clear");
        states.push(all(&store).await);
        drop(store);
        Self { place, states }
    }

    /// The one journal that is left.
    fn journal(&self) -> PathBuf {
        let names = self.place.names();
        let name = names.iter().find(|name| name.contains(".journal-")).expect("a journal");
        self.place.folder.path().join(name)
    }

    /// Opens a copy in which one file has this content.
    async fn open_with(&self, file: &Path, content: &[u8]) -> (Place, jam_core::Result<JsonFile>) {
        let copy = Place::new();
        self.place.copy_to(copy.folder.path());
        let damaged = copy.folder.path().join(file.file_name().expect("name"));
        fs::write(&damaged, content).expect("write");
        let opened = copy.options().open().await;
        if opened.is_err() {
            assert_eq!(
                fs::read(&damaged).expect("read"),
                content,
                "a refused file is left as it is"
            );
        }
        (copy, opened)
    }
}

fn typed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Corrupt | ErrorKind::Config | ErrorKind::Unsupported)
}

#[tokio::test]
async fn a_journal_cut_at_any_byte_gives_all_before_the_cut_and_reports_it() {
    let wreck = Wreck::new().await;
    let journal = wreck.journal();
    let whole = fs::read(&journal).expect("read");
    let ends: Vec<usize> = whole
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'\n')
        .map(|(at, _)| at + 1)
        .collect();
    assert_eq!(ends.len(), wreck.states.len());
    for cut in 0..whole.len() {
        let (_copy, opened) = wreck.open_with(&journal, &whole[..cut]).await;
        let store = opened.unwrap_or_else(|error| panic!("cut at {cut}: {error}"));
        let lines = ends.iter().filter(|end| **end <= cut).count();
        assert_eq!(all(&store).await, wreck.states[lines.saturating_sub(1)], "cut at {cut}");
        // A cut exactly between two records cannot be seen.
        let damage = &store.recovery().damage;
        if ends.contains(&cut) {
            assert!(damage.is_empty(), "cut at {cut}");
        } else {
            let start = if lines == 0 { 0 } else { ends[lines - 1] };
            assert_eq!(damage.len(), 1, "cut at {cut}");
            assert_eq!(
                (damage[0].offset, damage[0].dropped),
                (start as u64, (cut - start) as u64)
            );
        }
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_journal_is_never_silent() {
    let wreck = Wreck::new().await;
    let journal = wreck.journal();
    let whole = fs::read(&journal).expect("read");
    let last_line = whole[..whole.len() - 1]
        .iter()
        .rposition(|byte| *byte == b'\n')
        .expect("lines")
        + 1;
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (_copy, opened) = wreck.open_with(&journal, &flipped).await;
        match opened {
            Ok(store) => {
                assert!(bit / 8 >= last_line, "bit {bit} is before the last record");
                assert_eq!(store.recovery().damage.len(), 1, "bit {bit} is reported");
                assert!(wreck.states.contains(&all(&store).await), "bit {bit}");
            }
            Err(error) => {
                assert!(typed(error.kind()), "bit {bit}: {error}");
                assert!(bit / 8 < last_line, "bit {bit}: {error}");
                assert!(error.message().contains(".journal-"), "{error}");
                assert!(error.message().contains("byte "), "{error}");
            }
        }
    }
}

#[tokio::test]
async fn a_document_cut_at_any_byte_is_refused() {
    let wreck = Wreck::new().await;
    let document = wreck.place.path();
    let whole = fs::read(&document).expect("read");
    for cut in 0..whole.len() {
        let (_copy, opened) = wreck.open_with(&document, &whole[..cut]).await;
        let error = opened.expect_err("damaged");
        assert!(typed(error.kind()), "cut at {cut}: {error}");
    }
}

#[tokio::test]
async fn a_flipped_bit_in_the_document_is_refused() {
    let wreck = Wreck::new().await;
    let document = wreck.place.path();
    let whole = fs::read(&document).expect("read");
    for bit in 0..whole.len() * 8 {
        let mut flipped = whole.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let (_copy, opened) = wreck.open_with(&document, &flipped).await;
        let error = opened.expect_err("damaged");
        assert!(typed(error.kind()), "bit {bit}: {error}");
    }
}

#[tokio::test]
async fn lines_lost_doubled_or_exchanged_are_noticed() {
    let wreck = Wreck::new().await;
    let journal = wreck.journal();
    let whole = fs::read(&journal).expect("read");
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    for index in 0..lines.len() - 1 {
        let mut lost = lines.clone();
        lost.remove(index);
        let mut doubled = lines.clone();
        doubled.insert(index, lines[index]);
        let mut exchanged = lines.clone();
        exchanged.swap(index, index + 1);
        for changed in [lost, doubled, exchanged] {
            let (_copy, opened) = wreck.open_with(&journal, &changed.concat()).await;
            let error = opened.expect_err("damaged");
            assert!(typed(error.kind()), "line {index}: {error}");
        }
    }
}

#[tokio::test]
async fn a_missing_file_is_noticed() {
    let wreck = Wreck::new().await;
    let opened = |removed: &'static [&'static str], copy: Place| async move {
        for name in removed {
            fs::remove_file(copy.folder.path().join(name)).expect("remove");
        }
        copy.options().open().await
    };
    let copy = || {
        let copy = Place::new();
        wreck.place.copy_to(copy.folder.path());
        copy
    };
    let document = opened(&["sessions.json"], copy()).await.expect_err("no document");
    assert_eq!(document.kind(), ErrorKind::Corrupt, "{document}");
    // A compaction that a crash interrupted leaves two journals.
    let two = copy();
    let name = wreck
        .journal()
        .file_name()
        .expect("name")
        .to_str()
        .expect("utf-8")
        .to_owned();
    let (stem, generation) = name.rsplit_once('-').expect("generation");
    let next: u64 = generation.parse::<u64>().expect("number") + 2;
    fs::copy(wreck.journal(), two.folder.path().join(format!("{stem}-{next}"))).expect("copy");
    let gap = opened(&[], two).await.expect_err("a gap");
    assert_eq!(gap.kind(), ErrorKind::Corrupt, "{gap}");
    // The document of a compaction vouches for the journal after it.
    let store = wreck.place.open().await;
    store.compact().await.expect("compact");
    store.insert(&id("u", "later"), &record("{}")).await.expect("insert");
    drop(store);
    let fresh = copy();
    fs::remove_file(fresh.folder.path().join(wreck.journal().file_name().expect("name"))).expect("remove");
    let journal = fresh.options().open().await.expect_err("no journal");
    assert_eq!(journal.kind(), ErrorKind::Corrupt, "{journal}");
}

#[tokio::test]
async fn files_of_different_stores_do_not_mix() {
    let (one, other) = (Wreck::new().await, Place::new());
    let store = other.open().await;
    store.insert(&id("x", "x"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    drop(other.open().await);
    let (_copy, opened) = one
        .open_with(&one.place.path(), &fs::read(other.path()).expect("read"))
        .await;
    assert_eq!(opened.expect_err("a stranger's document").kind(), ErrorKind::Corrupt);
}

#[tokio::test]
async fn an_operator_may_edit_the_document_and_say_so() {
    let place = Place::new();
    let store = place.open().await;
    store
        .insert(&id("u", "a"), &record("{\"role\": \"user\", \"n\": 1.0}"))
        .await
        .expect("insert");
    store.insert(&id("u", "b"), &record("{}")).await.expect("insert");
    store.close().await.expect("close");
    let text = fs::read_to_string(place.path()).expect("read");
    let edited = text.replace("\"user\"", "\"admin\"");
    let accepting = |place: &Place| -> JsonFileOptions { place.options().accept_edited_document(true) };
    for laid_out_anew in [false, true] {
        let copy = Place::new();
        let text = if laid_out_anew {
            edited.replace('{', "{\n  ").replace("],\n", "\n],\n")
        } else {
            edited.clone()
        };
        fs::write(copy.path(), &text).expect("write");
        let refused = copy.options().open().await.expect_err("edited");
        assert_eq!(refused.kind(), ErrorKind::Corrupt);
        assert!(!refused.message().contains("byte"), "nobody knows where: {refused}");
        assert!(refused.message().contains("accept_edited_document"), "{refused}");
        let store = accepting(&copy).open().await.expect("accepted");
        assert!(store.recovery().edited_document);
        let found = all(&store).await;
        assert_eq!(found.len(), 2);
        let payload = str::from_utf8(&found[0].2).expect("utf-8");
        assert!(payload.contains("admin") && !payload.contains('\n'), "{payload}");
        drop(store);
        assert!(
            copy.open().await.recovery().is_empty(),
            "it was written anew with a right checksum"
        );
    }
    for broken in [
        edited.replace("\"data\"", "\"daat\""),
        edited.replace("\"id\":\"b\"", "\"id\":\"a\""),
        edited.replace("\"key\":\"u\",\"id\":\"b\"", "\"key\":\"\",\"id\":\"b\""),
        edited.replace("\"data\":{}", "\"data\":[]"),
        edited.replace(']', ""),
        with_number(&edited, "generation", (1 << 53) + 2),
        with_number(&edited, "sequence", (1 << 53) + 2),
    ] {
        fs::write(place.path(), &broken).expect("write");
        let error = accepting(&place).open().await.expect_err("no document");
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{broken}");
        assert!(!error.to_string().contains("admin"), "{error}");
        assert_eq!(fs::read_to_string(place.path()).expect("read"), broken);
    }
}

/// The text with another number in the field of that name.
fn with_number(text: &str, name: &str, number: u64) -> String {
    let start = text.find(&format!("\"{name}\":")).expect("the field") + name.len() + 3;
    let digits = text[start..].find(|char: char| !char.is_ascii_digit()).expect("an end");
    assert!(digits > 0, "a number follows");
    format!("{}{number}{}", &text[..start], &text[start + digits..])
}

#[tokio::test]
async fn the_document_of_an_open_store_is_a_backup() {
    let place = Place::new();
    let live = place.open().await;
    live.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    live.close().await.expect("close");
    let at_rest = fs::read(place.path()).expect("read");
    let live = place.open().await;
    live.compact().await.expect("compact");
    let backup = fs::read(place.path()).expect("read");
    live.insert(&id("u", "b"), &record("{}")).await.expect("insert");
    let copy = Place::new();
    fs::write(copy.path(), &backup).expect("write");
    let refused = copy.options().open().await.expect_err("without its journal");
    assert!(refused.message().contains("accept_edited_document"), "{refused}");
    let store = copy
        .options()
        .accept_edited_document(true)
        .open()
        .await
        .expect("said so");
    assert!(store.recovery().edited_document);
    assert_eq!(all(&store).await.len(), 1);
    drop(store);
    assert!(copy.open().await.recovery().is_empty());
    // With journals of a later time beside it, saying so does not help: those would be lost.
    drop(live);
    drop(place.open().await);
    let store = place.open().await;
    store.insert(&id("u", "c"), &record("{}")).await.expect("insert");
    drop(store);
    let of_another_past = fs::read(copy.path()).expect("read");
    let journals: Vec<_> = place
        .names()
        .into_iter()
        .filter(|name| name.contains(".journal-"))
        .collect();
    assert_eq!(journals.len(), 1, "{journals:?}");
    for document in [backup, at_rest, of_another_past] {
        fs::write(place.path(), &document).expect("write");
        let accepting = || place.options().accept_edited_document(true).open();
        let mixed = accepting().await.expect_err("mixed");
        assert_eq!(mixed.kind(), ErrorKind::Corrupt);
        let message = mixed.message();
        assert!(message.contains(&journals[0]) && message.contains(" away"), "{mixed}");
        // And that helps.
        let (journal, away) = (place.folder.path().join(&journals[0]), copy.folder.path().join("away"));
        fs::rename(&journal, &away).expect("moved away");
        assert_eq!(all(&accepting().await.expect("the document alone")).await.len(), 1);
        for name in place.names().iter().filter(|name| name.contains(".journal-")) {
            fs::remove_file(place.folder.path().join(name)).expect("removed");
        }
        fs::rename(&away, &journal).expect("moved back");
    }
}

#[tokio::test]
async fn a_document_and_the_journals_copied_after_it_are_a_backup() {
    let place = Place::new();
    let live = place.open().await;
    live.insert(&id("u", "a"), &record("{}")).await.expect("insert");
    live.compact().await.expect("compact");
    live.insert(&id("u", "b"), &record("{}")).await.expect("insert");
    let (copy, torn) = (Place::new(), Place::new());
    place.copy_to(copy.folder.path());
    assert_eq!(all(&copy.open().await).await.len(), 2);
    // A compaction between the two steps.
    fs::copy(place.path(), torn.path()).expect("copied");
    live.compact().await.expect("compact");
    for name in place.names().iter().filter(|name| name.contains(".journal-")) {
        fs::copy(place.folder.path().join(name), torn.folder.path().join(name)).expect("copied");
    }
    let error = torn.options().open().await.expect_err("torn");
    assert!(error.message().contains("is missing"), "{error}");
}

#[tokio::test]
async fn leftovers_of_a_crash_are_swept() {
    let wreck = Wreck::new().await;
    let folder = wreck.place.folder.path();
    fs::write(folder.join("sessions.json.tmp"), "half a document").expect("write");
    fs::write(
        folder.join("sessions.json.journal-1"),
        "an old journal, in the document since",
    )
    .expect("write");
    fs::write(folder.join("sessions.json.journal-x"), "somebody else's").expect("write");
    let store = wreck.place.open().await;
    assert_eq!(Some(&all(&store).await), wreck.states.last());
    store.close().await.expect("close");
    assert_eq!(
        wreck.place.names(),
        ["sessions.json", "sessions.json.journal-x", "sessions.json.lock"]
    );
}

#[tokio::test]
async fn a_later_format_is_unsupported_not_damage() {
    let place = Place::new();
    let body = "{\"jam\":{\"format\":2,\"new\":true},\n\"crc32\":\"";
    fs::write(
        place.path(),
        format!("{body}{:08x}\"}}\n", crc32fast::hash(body.as_bytes())),
    )
    .expect("write");
    assert_eq!(
        place.options().open().await.expect_err("later").kind(),
        ErrorKind::Unsupported
    );
    let place = Place::new();
    let header = "{\"jam\":\"journal\",\"format\":2}";
    let line = format!("{:08x} {header}\n", crc32fast::hash(header.as_bytes()));
    fs::write(place.beside(".journal-1"), line).expect("write");
    let options = JsonFile::options(place.path()).durability(Durability::Sync);
    assert_eq!(options.open().await.expect_err("later").kind(), ErrorKind::Unsupported);
}
