//! What a program logs, written down.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, OnceLock};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Metadata, Subscriber};

/// Writes down everything there is to see, at every level: a line for each span and each event.
#[derive(Clone, Debug, Default)]
pub struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    /// The one recorder of this process: stores log from threads of their own, which a recorder of one thread would
    /// miss.
    pub fn global() -> Self {
        static RECORDER: OnceLock<Recorder> = OnceLock::new();
        let install = || {
            let recorder = Self::default();
            tracing::subscriber::set_global_default(recorder.clone()).expect("works");
            recorder
        };
        RECORDER.get_or_init(install).clone()
    }

    /// One for what this thread does, for as long as the guard is kept.
    pub fn of_this_thread() -> (Self, DefaultGuard) {
        let recorder = Self::default();
        let guard = tracing::subscriber::set_default(recorder.clone());
        (recorder, guard)
    }

    /// Begins a line and gives its number, counted from 1.
    fn begin(&self, write: impl FnOnce(&mut String)) -> u64 {
        let mut lines = self.0.lock().expect("nobody panicked here");
        let mut line = String::new();
        write(&mut line);
        lines.push(line);
        lines.len() as u64
    }

    /// Everything so far, a line each.
    pub fn seen(&self) -> String {
        self.0.lock().expect("nobody panicked here").join("\n")
    }
}

struct Visitor<'a>(&'a mut String);

impl Visit for Visitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {field}={value:?}").expect("works");
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        write!(self.0, " {field}={value}").expect("works");
    }
}

impl Subscriber for Recorder {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        Id::from_u64(self.begin(|line| {
            write!(line, "span {}", span.metadata().name()).expect("works");
            span.record(&mut Visitor(line));
        }))
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        let number = usize::try_from(span.into_u64()).expect("works");
        values.record(&mut Visitor(
            &mut self.0.lock().expect("nobody panicked here")[number - 1],
        ));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.begin(|line| {
            write!(line, "event {}", event.metadata().level()).expect("works");
            event.record(&mut Visitor(line));
        });
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
