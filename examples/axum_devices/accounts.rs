//! Who may sign in. **A stand-in**: two accounts with passwords that the page itself shows. A real site looks the user up and
//! checks a password hash (Argon2id), a passkey or another provider's word; what comes after, in `actions`, stays the same.

/// An account of the demo.
pub(crate) struct Account {
    /// The session key: whose sessions they are.
    pub(crate) user: &'static str,
    pub(crate) password: &'static str,
    pub(crate) name: &'static str,
}

pub(crate) const ACCOUNTS: [Account; 2] = [
    Account {
        user: "ada",
        password: "engine",
        name: "Ada",
    },
    Account {
        user: "grace",
        password: "compiler",
        name: "Grace",
    },
];

/// The account these belong to.
pub(crate) fn check(user: &str, password: &str) -> Option<&'static Account> {
    ACCOUNTS
        .iter()
        .find(|account| account.user.eq_ignore_ascii_case(user.trim()) && account.password == password)
}

/// The name to greet the owner of a session key with.
pub(crate) fn name(user: &str) -> &str {
    let account = ACCOUNTS.iter().find(|account| account.user == user);
    account.map_or(user, |account| account.name)
}
