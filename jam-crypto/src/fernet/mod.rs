//! The encryption of Python's jamlib: ids and data are Fernet tokens.

mod ids;
mod sealer;
mod token;

pub use self::ids::FernetIds;
pub use self::sealer::FernetSealer;
pub(crate) use self::token::TokenKey;
