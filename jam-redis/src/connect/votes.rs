//! What the sentinels say, who need not agree: those that a network parts, or that have not heard of a failover yet, name
//! the server of yesterday.

use super::slots::Address;

/// The servers that are named, and by how many.
#[derive(Debug)]
pub(super) struct Votes {
    named: Vec<Named>,
    /// So many sentinels have not answered.
    missing: usize,
}

#[derive(Debug)]
struct Named {
    address: Address,
    by: usize,
    /// It cannot be reached, or is no primary: who names it is not heeded.
    failed: bool,
}

impl Votes {
    pub(super) const fn of(sentinels: usize) -> Self {
        Self {
            named: Vec::new(),
            missing: sentinels,
        }
    }

    /// Counts an answer, or that there is none to come. Says whether it is the first that names this server.
    pub(super) fn count(&mut self, answer: Option<&Address>) -> bool {
        self.missing = self.missing.saturating_sub(1);
        let Some(address) = answer else { return false };
        if let Some(named) = self.named.iter_mut().find(|named| named.address == *address) {
            named.by += 1;
            return false;
        }
        self.named.push(Named {
            address: address.clone(),
            by: 1,
            failed: false,
        });
        true
    }

    pub(super) fn failed(&mut self, address: &Address) {
        if let Some(named) = self.named.iter_mut().find(|named| named.address == *address) {
            named.failed = true;
        }
    }

    /// How many name this server.
    pub(super) fn by(&self, address: &Address) -> usize {
        self.named
            .iter()
            .find(|named| named.address == *address)
            .map_or(0, |named| named.by)
    }

    /// A server that more of them name than this one. A tie is none.
    pub(super) fn preferred_to(&self, address: &Address) -> Option<&Address> {
        let other = self.most_beside(address)?;
        (other.by > self.by(address)).then_some(&other.address)
    }

    /// Whether none is preferred to this one, nor can be, whatever those say who have not answered.
    pub(super) fn are_settled_on(&self, address: &Address) -> bool {
        let most = self.most_beside(address).map_or(0, |other| other.by);
        self.by(address) >= most.saturating_add(self.missing)
    }

    /// Whether another one is preferred to this one, whatever those say who have not answered.
    pub(super) fn are_settled_against(&self, address: &Address) -> bool {
        let most = self.most_beside(address).map_or(0, |other| other.by);
        most > self.by(address).saturating_add(self.missing)
    }

    fn most_beside(&self, address: &Address) -> Option<&Named> {
        let others = self.named.iter().filter(|named| named.address != *address);
        others.filter(|named| !named.failed).max_by_key(|named| named.by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(port: u16) -> Address {
        ("10.0.0.1".to_owned(), port)
    }

    #[test]
    fn a_server_is_settled_on_once_the_silent_ones_cannot_change_it() {
        let (one, other) = (server(1), server(2));
        let mut votes = Votes::of(3);
        assert!(votes.count(Some(&one)));
        assert!(!votes.are_settled_on(&one), "two may name the other one");
        assert!(!votes.count(Some(&one)), "it was named before");
        assert!(votes.are_settled_on(&one));
        assert!(votes.count(Some(&other)));
        assert_eq!(votes.preferred_to(&other), Some(&one));
        assert_eq!(votes.preferred_to(&one), None);
        assert!(votes.are_settled_against(&other));
    }

    #[test]
    fn nothing_is_settled_against_a_server_that_the_silent_ones_may_name() {
        let (one, other) = (server(1), server(2));
        let mut votes = Votes::of(3);
        votes.count(Some(&other));
        assert_eq!(votes.preferred_to(&one), Some(&other));
        assert!(!votes.are_settled_against(&one));
        votes.count(Some(&other));
        assert!(votes.are_settled_against(&one));
    }

    #[test]
    fn a_tie_prefers_neither() {
        let (one, other) = (server(1), server(2));
        let mut votes = Votes::of(3);
        for answer in [Some(&one), None, Some(&other)] {
            votes.count(answer);
        }
        for server in [&one, &other] {
            assert_eq!(votes.preferred_to(server), None);
            assert!(votes.are_settled_on(server));
        }
    }

    #[test]
    fn who_names_a_server_that_is_not_there_is_not_heeded() {
        let (one, gone) = (server(1), server(2));
        let mut votes = Votes::of(3);
        for answer in [&gone, &gone, &one] {
            votes.count(Some(answer));
        }
        assert_eq!(votes.preferred_to(&one), Some(&gone));
        votes.failed(&gone);
        assert_eq!(votes.preferred_to(&one), None);
        assert!(votes.are_settled_on(&one));
    }
}
