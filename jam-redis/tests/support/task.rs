//! One task of the load: it knows what its keys hold, and says where an answer does not fit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use jam_core::{Error, ErrorKind, Load, Rename, Result, SessionStore, Version};

use super::account::Account;
use super::expiry_in;
use super::load::{Report, Shared};

/// One of the tasks.
pub(crate) struct Task {
    number: usize,
    shared: Arc<Shared>,
    dice: u64,
    keys: usize,
    ids: usize,
    report: Report,
}

impl Task {
    pub(crate) fn new(number: usize, shared: Arc<Shared>) -> Self {
        Self {
            number,
            shared,
            dice: 0x9e37_79b9_7f4a_7c15 ^ (number as u64 + 1),
            keys: 0,
            ids: 0,
            report: Report::default(),
        }
    }

    pub(crate) async fn run(mut self) -> Report {
        let mut account = self.account();
        let mut other = self.account();
        while !self.shared.stop.load(Ordering::Relaxed) {
            let sure = if self.shared.logins && self.roll(12) == 0 {
                self.log_in(&mut account, &mut other).await
            } else {
                self.step(&mut account).await
            };
            account.steps += 1;
            std::mem::swap(&mut account, &mut other);
            match sure {
                // The next call on these keys would not know what to expect.
                Ok(()) if other.steps < 60 => {}
                Ok(()) => {
                    let next = self.account();
                    self.report.accounts.push(std::mem::replace(&mut other, next));
                }
                Err(Unsure) => {
                    for done in [&mut account, &mut other] {
                        let next = self.account();
                        self.report.accounts.push(std::mem::replace(done, next));
                    }
                }
            }
        }
        self.report.accounts.extend([account, other]);
        self.report
    }

    fn account(&mut self) -> Account {
        self.keys += 1;
        Account::new(&(self.shared.naming)(self.number, self.keys))
    }

    fn id(&mut self) -> String {
        self.ids += 1;
        format!("{}.{}", self.number, self.ids)
    }

    fn roll(&mut self, sides: u64) -> u64 {
        self.dice ^= self.dice << 13;
        self.dice ^= self.dice >> 7;
        self.dice ^= self.dice << 17;
        self.dice % sides
    }

    fn pick(&mut self, account: &Account) -> Option<(String, u64)> {
        let mut ids: Vec<_> = account.live.iter().collect();
        ids.sort();
        let at = usize::try_from(self.roll(ids.len().max(1) as u64)).expect("a small number");
        ids.get(at).map(|(id, saves)| ((*id).clone(), **saves))
    }

    /// Makes a call and takes down how it went.
    async fn made<T>(&mut self, call: impl Future<Output = Result<T>>) -> Result<T> {
        let start = Instant::now();
        let result = call.await;
        self.report.slowest = self.report.slowest.max(start.elapsed());
        self.report.calls += 1;
        self.shared.calls.fetch_add(1, Ordering::Relaxed);
        let Err(error) = &result else { return result };
        match error.kind() {
            ErrorKind::Unavailable => {
                self.report.unavailable += 1;
                self.report.unknown += u64::from(error.outcome_unknown());
                let at = u64::try_from(self.shared.start.elapsed().as_millis()).expect("a short test");
                self.shared.failed.fetch_max(at, Ordering::Relaxed);
                *self.report.messages.entry(error.message().to_owned()).or_default() += 1;
                // As a service would, rather than failing a million times.
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            ErrorKind::NotFound | ErrorKind::Conflict | ErrorKind::AlreadyExists => {}
            _ => self.report.alien.push(format!("{error:?}")),
        }
        result
    }

    fn odd(&mut self, account: &Account, what: impl Into<String>) -> Unsure {
        self.report.odd.push((account.key.as_str().to_owned(), what.into()));
        Unsure
    }

    /// What an error means for what is known: nothing was done, or nobody can tell.
    fn failed(&mut self, account: &Account, what: &str, error: &Error) -> Outcome {
        match error.kind() {
            ErrorKind::Unavailable if !error.outcome_unknown() => Outcome::Nothing,
            ErrorKind::Unavailable => Outcome::Unknown,
            kind => {
                self.odd(account, format!("{what}: {kind}"));
                Outcome::Odd
            }
        }
    }

    async fn step(&mut self, account: &mut Account) -> Result<(), Unsure> {
        if account.live.is_empty() {
            return self.create(account).await;
        }
        match self.roll(16) {
            0..3 if account.live.len() < 6 => self.create(account).await,
            0..5 => self.get(account).await.map(drop),
            5..7 => self.modify(account).await,
            7 => self.save(account).await,
            8..11 => self.rework(account).await,
            11..13 => self.delete(account).await,
            13 => self.get_ended(account).await,
            14 => self.list(account).await,
            _ if self.roll(4) == 0 => self.clear(account).await,
            _ => self.touch(account).await,
        }
    }

    async fn create(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let id = self.id();
        let store = Arc::clone(&self.shared.store);
        let (at, record) = (account.id(&id), account.record(&id, 0));
        match self.made(store.insert(&at, &record)).await {
            Ok(()) => {
                account.live.insert(id, 0);
                Ok(())
            }
            Err(error) => match self.failed(account, "create", &error) {
                Outcome::Nothing => {
                    account.ended.push(id);
                    Ok(())
                }
                Outcome::Unknown => {
                    account.maybe.insert(id, vec![None, Some(0)]);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }

    /// Reads a session; `None` where that failed.
    async fn get(&mut self, account: &mut Account) -> Result<Option<(String, u64, Version)>, Unsure> {
        let Some((id, saves)) = self.pick(account) else {
            return Ok(None);
        };
        let store = Arc::clone(&self.shared.store);
        let at = account.id(&id);
        match self.made(store.load(&at, Load::new())).await {
            Ok(Some(stored)) => match account.saves(&id, &stored.payload) {
                Some(found) if found == saves => Ok(Some((id, saves, stored.version))),
                Some(found) => Err(self.odd(account, format!("save {found} in place of {saves}"))),
                None => {
                    self.report
                        .crossed
                        .push(String::from_utf8_lossy(&stored.payload).into_owned());
                    Err(Unsure)
                }
            },
            Ok(None) => Err(self.odd(account, "a read finds no session")),
            Err(_) => Ok(None),
        }
    }

    async fn get_ended(&mut self, account: &Account) -> Result<(), Unsure> {
        let Some(id) = account.ended.last().cloned() else {
            return Ok(());
        };
        let store = Arc::clone(&self.shared.store);
        let at = account.id(&id);
        match self.made(store.load(&at, Load::new())).await {
            Ok(Some(_)) => Err(self.odd(account, "a read finds a session that has ended")),
            _ => Ok(()),
        }
    }

    async fn modify(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let Some((id, saves, version)) = self.get(account).await? else {
            return Ok(());
        };
        self.replace(account, id, saves, Some(&version)).await
    }

    async fn save(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let Some((id, saves)) = self.pick(account) else {
            return Ok(());
        };
        self.replace(account, id, saves, None).await
    }

    async fn replace(
        &mut self,
        account: &mut Account,
        id: String,
        saves: u64,
        version: Option<&Version>,
    ) -> Result<(), Unsure> {
        let store = Arc::clone(&self.shared.store);
        let (at, record) = (account.id(&id), account.record(&id, saves + 1));
        match self.made(store.replace(&at, version, &record)).await {
            Ok(()) => {
                account.live.insert(id, saves + 1);
                Ok(())
            }
            Err(error) => match self.failed(account, "save", &error) {
                Outcome::Nothing => Ok(()),
                Outcome::Unknown => {
                    account.live.remove(&id);
                    account.maybe.insert(id, vec![Some(saves), Some(saves + 1)]);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }

    async fn rework(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let Some((old, saves, version)) = self.get(account).await? else {
            return Ok(());
        };
        let new = self.id();
        let store = Arc::clone(&self.shared.store);
        let (from, to, record) = (account.id(&old), account.id(&new), account.record(&new, saves));
        match self
            .made(store.rename(Rename::new(&from, &version, &to, &record)))
            .await
        {
            Ok(()) => {
                account.live.remove(&old);
                account.ended.push(old);
                account.reworked.insert(new.clone());
                account.live.insert(new, saves);
                Ok(())
            }
            Err(error) => match self.failed(account, "rework", &error) {
                Outcome::Nothing => {
                    account.ended.push(new);
                    Ok(())
                }
                Outcome::Unknown => {
                    account.live.remove(&old);
                    account.either = Some((old.clone(), new.clone()));
                    account.maybe.insert(old, vec![Some(saves), None]);
                    account.maybe.insert(new, vec![Some(saves), None]);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }

    /// Moves a session to another key.
    async fn log_in(&mut self, visitor: &mut Account, user: &mut Account) -> Result<(), Unsure> {
        let Some((old, saves, version)) = self.get(visitor).await? else {
            return Ok(());
        };
        let new = self.id();
        let store = Arc::clone(&self.shared.store);
        let (from, to, record) = (visitor.id(&old), user.id(&new), user.record(&new, saves));
        match self
            .made(store.rename(Rename::new(&from, &version, &to, &record)))
            .await
        {
            Ok(()) => {
                visitor.live.remove(&old);
                visitor.ended.push(old);
                user.reworked.insert(new.clone());
                user.live.insert(new, saves);
                Ok(())
            }
            Err(error) => match self.failed(visitor, "login", &error) {
                Outcome::Nothing => {
                    user.ended.push(new);
                    Ok(())
                }
                Outcome::Unknown => {
                    visitor.live.remove(&old);
                    visitor.maybe.insert(old, vec![Some(saves), None]);
                    user.maybe.insert(new, vec![Some(saves), None]);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }

    async fn delete(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let Some((id, saves)) = self.pick(account) else {
            return Ok(());
        };
        let store = Arc::clone(&self.shared.store);
        let at = account.id(&id);
        match self.made(store.remove(&at)).await {
            Ok(true) => {
                account.live.remove(&id);
                account.ended.push(id);
                Ok(())
            }
            Ok(false) => Err(self.odd(account, "a delete finds no session")),
            Err(error) => match self.failed(account, "delete", &error) {
                Outcome::Nothing => Ok(()),
                Outcome::Unknown => {
                    account.live.remove(&id);
                    account.maybe.insert(id, vec![Some(saves), None]);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }

    async fn touch(&mut self, account: &Account) -> Result<(), Unsure> {
        let Some((id, _)) = self.pick(account) else {
            return Ok(());
        };
        let store = Arc::clone(&self.shared.store);
        let at = account.id(&id);
        let to = expiry_in(Duration::from_hours(2));
        match self.made(store.touch(&at, to)).await {
            Ok(false) => Err(self.odd(account, "a touch finds no session")),
            _ => Ok(()),
        }
    }

    async fn list(&mut self, account: &Account) -> Result<(), Unsure> {
        let store = Arc::clone(&self.shared.store);
        let Ok(entries) = self.made(store.list(&account.key)).await else {
            return Ok(());
        };
        let there: BTreeSet<_> = entries.iter().map(|entry| entry.id.id().to_owned()).collect();
        let expected: BTreeSet<_> = account.live.keys().cloned().collect();
        if there != expected || there.len() != entries.len() {
            return Err(self.odd(account, format!("a listing has {there:?} in place of {expected:?}")));
        }
        Ok(())
    }

    async fn clear(&mut self, account: &mut Account) -> Result<(), Unsure> {
        let store = Arc::clone(&self.shared.store);
        let key = account.key.clone();
        match self.made(store.clear(&key)).await {
            Ok(count) => {
                let expected = account.live.len() as u64;
                account.ended.extend(account.live.drain().map(|(id, _)| id));
                if count != expected {
                    return Err(self.odd(account, format!("clear counts {count} in place of {expected}")));
                }
                Ok(())
            }
            Err(error) => match self.failed(account, "clear", &error) {
                Outcome::Nothing => Ok(()),
                Outcome::Unknown => {
                    let unsure = account.live.drain().map(|(id, saves)| (id, vec![Some(saves), None]));
                    account.maybe.extend(unsure);
                    Err(Unsure)
                }
                Outcome::Odd => Err(Unsure),
            },
        }
    }
}

/// What is there can no longer be told for sure.
struct Unsure;

enum Outcome {
    Nothing,
    Unknown,
    Odd,
}
