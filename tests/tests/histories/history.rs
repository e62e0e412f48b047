//! What happened, in the order in which it was seen, and the question to the checker.

use std::fmt;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use consistency_model::{ConsistencyTester, LinearizabilityTester};

use crate::search::{self, Step};
use crate::spec::{Call, OneSession, Outcome};

/// How a call ended for whoever made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It answered.
    Answered(Outcome),
    /// It was dropped or lost, and may have happened, or may still happen.
    Unknown,
    /// An error said that nothing was changed.
    Nothing,
}

/// What is to be said of a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// One session could have answered like this.
    Right,
    /// So the search found; the other checker had not come to an end.
    RightWithoutTheOther,
    Wrong,
    /// The two checkers do not agree.
    Disputed,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Called(usize, Call),
    Ended(usize, End),
}

/// The events of one session, as the clients saw them.
#[derive(Default)]
pub(crate) struct History {
    events: Mutex<Vec<Event>>,
}

impl History {
    fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call that is about to be made, and gives its number.
    pub(crate) fn called(&self, call: Call) -> usize {
        let mut events = self.events();
        let number = events.len();
        events.push(Event::Called(number, call));
        number
    }

    /// Notes how it ended.
    pub(crate) fn ended(&self, number: usize, end: End) {
        self.events().push(Event::Ended(number, end));
    }

    /// How many calls were answered, and of how many writes nobody knows.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let events = self.events();
        let ends = |wanted: fn(&End) -> bool| {
            let of = |event: &&Event| matches!(event, Event::Ended(_, end) if wanted(end));
            events.iter().filter(of).count()
        };
        (
            ends(|end| matches!(end, End::Answered(_))),
            ends(|end| matches!(end, End::Unknown)),
        )
    }

    /// Whether there is an order of the calls, each at one moment between its call and its answer, in which one session
    /// answers like this. A call of unknown outcome happened at any later moment, or never.
    ///
    /// The checker that somebody else wrote is asked each time. It remembers nothing of what it has tried, so that a history may keep it
    /// busy for hours: then the [search](crate::search) that remembers stands alone, and this says so.
    pub(crate) fn is_linearizable(&self, begin: &OneSession) -> Verdict {
        let found = search::finds_an_order(&self.steps(), begin);
        let history = Self::of(self.events().clone());
        let begin = OneSession {
            given_up: Arc::default(),
            ..begin.clone()
        };
        let given_up = Arc::clone(&begin.given_up);
        let (answer, answered) = mpsc::channel();
        std::thread::spawn(move || answer.send(history.is_consistent(&begin)));
        let answered = answered.recv_timeout(Self::PATIENCE);
        given_up.store(true, Ordering::Relaxed);
        match answered {
            Ok(consistent) if consistent != found => Verdict::Disputed,
            _ if !found => Verdict::Wrong,
            Ok(_) => Verdict::Right,
            Err(_) => Verdict::RightWithoutTheOther,
        }
    }

    /// For the other checker, which mostly takes a thousandth of it.
    const PATIENCE: Duration = Duration::from_secs(10);

    fn of(events: Vec<Event>) -> Self {
        Self {
            events: Mutex::new(events),
        }
    }

    /// The calls, in the order in which they began.
    fn steps(&self) -> Vec<Step> {
        let events = self.events();
        let mut steps: Vec<(usize, Step)> = Vec::new();
        for (at, event) in events.iter().enumerate() {
            match *event {
                Event::Called(number, call) => steps.push((
                    number,
                    Step {
                        call,
                        began: at,
                        ended: None,
                    },
                )),
                Event::Ended(number, end) => {
                    let place = steps.iter().position(|(own, _)| *own == number);
                    let Some(place) = place else { continue };
                    match end {
                        End::Answered(outcome) => steps[place].1.ended = Some((at, outcome)),
                        End::Unknown => {}
                        End::Nothing => drop(steps.remove(place)),
                    }
                }
            }
        }
        let told = |step: &Step| step.ended.is_some() || step.call.writes();
        steps.into_iter().map(|(_, step)| step).filter(told).collect()
    }

    fn is_consistent(&self, begin: &OneSession) -> bool {
        let events = self.events();
        let end_of = |number: usize| {
            events.iter().find_map(|event| match event {
                Event::Ended(of, end) if *of == number => Some(*end),
                _ => None,
            })
        };
        // Each call is a thread of its own: the checker keeps what ended before another one began in order all the same.
        let mut tester = LinearizabilityTester::new(begin.clone());
        for event in events.iter() {
            let valid = match *event {
                Event::Called(number, call) => match end_of(number) {
                    Some(End::Answered(_)) => tester.on_invoke(number, call).map(drop),
                    Some(End::Unknown) | None if call.writes() => tester.on_invoke(number, call).map(drop),
                    _ => Ok(()),
                },
                Event::Ended(number, End::Answered(outcome)) => tester.on_return(number, outcome).map(drop),
                Event::Ended(..) => Ok(()),
            };
            if valid.is_err() {
                return false;
            }
        }
        tester.is_consistent()
    }
}

/// One event a line.
impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.events().iter().try_for_each(|event| writeln!(f, "{event:?}"))
    }
}

#[test]
fn the_checker_tells_right_from_wrong() {
    use Outcome::{Conflict, Done, NotFound, Told, Value};

    let begin = OneSession::new(1);
    let told = |events: &[(Call, Option<Outcome>)]| {
        let history = History::default();
        for (call, outcome) in events {
            let number = history.called(*call);
            history.ended(number, outcome.map_or(End::Unknown, End::Answered));
        }
        match history.is_linearizable(&begin) {
            Verdict::Right => true,
            Verdict::Wrong => false,
            other => panic!("{other:?}"),
        }
    };
    assert!(told(&[
        (Call::Update(0, 2), Some(Done)),
        (Call::Get(0), Some(Value(Some(2))))
    ]));
    // A lost update, a session that came back, one that was reworked and is there twice.
    assert!(!told(&[
        (Call::Update(0, 2), Some(Done)),
        (Call::Get(0), Some(Value(Some(1))))
    ]));
    assert!(!told(&[
        (Call::Delete(0), Some(Told(true))),
        (Call::Get(0), Some(Value(Some(1))))
    ]));
    assert!(!told(&[
        (Call::Rework(0, 1), Some(Done)),
        (Call::Get(0), Some(Value(Some(1))))
    ]));
    assert!(!told(&[(Call::Commit(0, 9, 2), Some(Done))]) && told(&[(Call::Commit(0, 9, 2), Some(Conflict))]));
    // What nobody knows of may have happened or not, but not both in turn.
    let lost = (Call::Update(0, 2), None);
    assert!(told(&[
        lost,
        (Call::Get(0), Some(Value(Some(1)))),
        (Call::Get(0), Some(Value(Some(2))))
    ]));
    assert!(!told(&[
        lost,
        (Call::Get(0), Some(Value(Some(2)))),
        (Call::Get(0), Some(Value(Some(1))))
    ]));
    assert!(!told(&[lost, (Call::Get(0), Some(Value(Some(3))))]));
    assert!(told(&[
        (Call::Delete(0), None),
        (Call::Touch(0), Some(Told(true))),
        (Call::Update(0, 2), Some(NotFound))
    ]));
    // At the same time, either order goes.
    for seen in [1, 2] {
        let history = History::default();
        let (write, read) = (history.called(Call::Update(0, 2)), history.called(Call::Get(0)));
        history.ended(read, End::Answered(Value(Some(seen))));
        history.ended(write, End::Answered(Done));
        assert_eq!(history.is_linearizable(&begin), Verdict::Right);
    }
}
