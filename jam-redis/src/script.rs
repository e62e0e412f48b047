//! The scripts, and how one is called.

use std::borrow::Cow;
use std::sync::LazyLock;

use redis::Cmd;

/// A Lua script and its digest.
pub(crate) struct Script {
    code: &'static str,
    digest: LazyLock<String>,
}

impl Script {
    pub(crate) fn code(&self) -> &'static str {
        self.code
    }
}

macro_rules! scripts {
    ($all:ident: $prelude:literal $($name:ident = $($file:literal)+,)+) => {
        $(
            pub(crate) static $name: Script = Script {
                code: concat!(
                    include_str!(concat!("lua/", $prelude)),
                    $(include_str!(concat!("lua/", $file))),+
                ),
                digest: LazyLock::new(|| redis::Script::new($name.code).get_hash().to_owned()),
            };
        )+
        pub(crate) static $all: &[&Script] = &[$(&$name),+];
    };
}

/// For servers with field expiry.
pub(crate) mod native {
    use super::{LazyLock, Script};

    scripts! { ALL: "native.lua"
        INSERT = "native_insert.lua",
        LOAD = "renewal.lua" "native_load.lua",
        ENDING = "renewal.lua" "native_ending.lua",
        REPLACE = "native_replace.lua",
        TOUCH = "native_touch.lua",
        RENAME = "native_rename.lua",
        REMOVE = "native_remove.lua",
        LIST = "native_list.lua",
        CLEAR = "native_clear.lua",
    }
}

/// For servers without.
pub(crate) mod emulated {
    use super::{LazyLock, Script};

    scripts! { ALL: "emulated.lua"
        INSERT = "emulated_until.lua" "emulated_insert.lua",
        LOAD = "emulated_find.lua" "emulated_payload.lua" "emulated_until.lua" "emulated_put.lua" "emulated_prolong.lua"
            "renewal.lua" "emulated_load.lua",
        REPLACE = "emulated_find.lua" "emulated_payload.lua" "emulated_until.lua" "emulated_put.lua" "emulated_settle.lua"
            "emulated_replace.lua",
        TOUCH = "emulated_find.lua" "emulated_payload.lua" "emulated_until.lua" "emulated_put.lua" "emulated_prolong.lua"
            "emulated_touch.lua",
        RENAME = "emulated_find.lua" "emulated_payload.lua" "emulated_until.lua" "emulated_put.lua" "emulated_settle.lua"
            "emulated_rename.lua",
        REMOVE = "emulated_find.lua" "emulated_payload.lua" "emulated_until.lua" "emulated_settle.lua" "emulated_remove.lua",
        LIST = "emulated_list.lua",
        CLEAR = "emulated_clear.lua",
        SWEEP = "emulated_sweep.lua",
    }
}

/// What is to be sent.
pub(crate) enum Call<'a> {
    /// A command as it is.
    Plain(Cmd),
    /// A script; `flag` is its first argument.
    Script {
        script: &'static Script,
        keys: Vec<&'a [u8]>,
        flag: u8,
        arguments: Vec<Cow<'a, [u8]>>,
    },
}

impl<'a> Call<'a> {
    pub(crate) fn script(script: &'static Script, key: &'a [u8], flag: u8) -> Self {
        Self::Script {
            script,
            keys: vec![key],
            flag,
            arguments: Vec::with_capacity(5),
        }
    }

    /// Another key, of a script.
    pub(crate) fn key(mut self, key: &'a [u8]) -> Self {
        if let Self::Script { keys, .. } = &mut self {
            keys.push(key);
        }
        self
    }

    /// One more argument.
    pub(crate) fn arg(mut self, argument: impl Into<Cow<'a, [u8]>>) -> Self {
        match &mut self {
            Self::Plain(command) => {
                command.arg(&*argument.into());
            }
            Self::Script { arguments, .. } => arguments.push(argument.into()),
        }
        self
    }

    /// The command that makes this call, to be taken once; a script by its digest.
    pub(crate) fn take_command(&mut self) -> Cmd {
        match self {
            Self::Plain(command) => command.take(),
            &mut Self::Script { script, .. } => self.evaluation("EVALSHA", &script.digest),
        }
    }

    /// Has a script that can do with emulated values fail all the same where they cannot be converted, so that its success says
    /// that there are none any more. Tells whether it is such a one.
    pub(crate) fn insist(&mut self) -> bool {
        let Self::Script { flag: flag @ 2, .. } = self else {
            return false;
        };
        *flag = 1;
        true
    }

    /// Whether it reads all of a hash first, so that its success says that the hash is in this server's own form.
    pub(crate) fn converts(&self) -> bool {
        matches!(self, Self::Script { flag: 1, .. })
    }

    pub(crate) fn is_script(&self) -> bool {
        matches!(self, Self::Script { .. })
    }

    /// The same with the script's text, for a server that does not know the digest yet. It keeps it from then on.
    pub(crate) fn in_full(&self) -> Option<Cmd> {
        match self {
            Self::Plain(_) => None,
            Self::Script { script, .. } => Some(self.evaluation("EVAL", script.code)),
        }
    }

    fn evaluation(&self, name: &str, text: &str) -> Cmd {
        let Self::Script {
            keys, flag, arguments, ..
        } = self
        else {
            return Cmd::new();
        };
        let parts = keys
            .iter()
            .map(|key| key.len())
            .chain(arguments.iter().map(|one| one.len()));
        let size = parts.sum::<usize>() + name.len() + text.len() + 8;
        let mut command = Cmd::with_capacity(4 + keys.len() + arguments.len(), size);
        command.arg(name).arg(text).arg(keys.len());
        for key in keys {
            command.arg(*key);
        }
        command.arg(*flag);
        for argument in arguments {
            command.arg(&**argument);
        }
        command
    }
}
