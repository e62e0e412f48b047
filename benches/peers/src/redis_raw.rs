//! The driver alone: the commands that jam sends, on the same kind of connection.

use jam_bench_harness::{About, Failure, Library, Operation, counted, text, user};
use jam_test_servers::Kind;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::TcpSettings;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo, Value, cmd, pipe};
use uuid::Uuid;

/// A day far off, in milliseconds.
const EXPIRY: u64 = 2_767_225_600_000;

pub(crate) struct Raw {
    connection: MultiplexedConnection,
    /// Whether one command sets a field and its expiry.
    fields_expire: bool,
    text: String,
}

/// The hash, and the field of about the length that jam's have.
pub(crate) type Place = (String, String);

fn field() -> String {
    format!("{}.t5o2k9.Zb2nq0LdVv3m9Tq2wYx1gA", Uuid::new_v4())
}

impl Raw {
    pub(crate) async fn open(url: &str, kind: Kind) -> Result<Self, Failure> {
        let info = url.into_connection_info()?;
        let client = Client::open(info.set_tcp_settings(TcpSettings::default().set_nodelay(true)))?;
        let config = AsyncConnectionConfig::new().set_pipeline_buffer_size(1024);
        Ok(Self {
            connection: client.get_multiplexed_async_connection_with_config(&config).await?,
            fields_expire: kind != Kind::Old,
            text: text(),
        })
    }

    /// Sets a field, on condition that it is new or that it is there.
    fn set(&self, condition: &str, (hash, field): &Place, text: &str) -> Cmd {
        if self.fields_expire {
            let mut set = cmd("HSETEX");
            set.arg(hash)
                .arg(condition)
                .arg("PXAT")
                .arg(EXPIRY)
                .arg("FIELDS")
                .arg(1)
                .arg(field)
                .arg(text);
            set
        } else {
            let mut set = cmd("HSET");
            set.arg(hash).arg(field).arg(text);
            set
        }
    }

    async fn get(&self, (hash, field): &Place) -> Result<Vec<u8>, Failure> {
        let found: Option<Vec<u8>> = cmd("HGET")
            .arg(hash)
            .arg(field)
            .query_async(&mut self.connection.clone())
            .await?;
        Ok(found.ok_or("lost")?)
    }

    async fn send(&self, command: &Cmd) -> Result<(), Failure> {
        let _: Value = command.query_async(&mut self.connection.clone()).await?;
        Ok(())
    }
}

impl Library for Raw {
    type Id = Place;

    fn about(&self) -> About {
        let settings = if self.fields_expire {
            "HGET, HSETEX, HDEL, HGETALL on one multiplexed connection; a rework is a transaction of HSETEX and HDEL"
        } else {
            "HGET, HSET, HDEL, HGETALL on one multiplexed connection; nothing expires; a rework is a transaction"
        };
        About {
            package: Some("redis".into()),
            ..About::limit("redis, the driver alone", settings)
        }
    }

    fn does(&self, _: Operation) -> bool {
        true
    }

    async fn create(&self, number: usize) -> Result<Place, Failure> {
        let place = (format!("raw:{}", user(number)), field());
        self.send(&self.set("FNX", &place, &self.text)).await?;
        Ok(place)
    }

    async fn run(&self, operation: Operation, place: &mut Place) -> Result<(), Failure> {
        match operation {
            Operation::Create => return Err("is no operation on a session".into()),
            Operation::Get => drop(self.get(place).await?),
            Operation::Read => drop(serde_json::from_slice::<serde_json::Value>(&self.get(place).await?)?),
            Operation::Update => self.send(&self.set("FXX", place, &self.text)).await?,
            Operation::Request => {
                let text = counted(std::str::from_utf8(&self.get(place).await?)?)?;
                self.send(&self.set("FXX", place, &text)).await?;
            }
            Operation::List => self.send(cmd("HGETALL").arg(&place.0)).await?,
            Operation::Rework => {
                let to = (place.0.clone(), field());
                let mut both = pipe();
                both.atomic().add_command(self.set("FNX", &to, &self.text));
                both.cmd("HDEL").arg(&place.0).arg(&place.1);
                let _: Value = both.query_async(&mut self.connection.clone()).await?;
                *place = to;
            }
            Operation::Delete => self.send(cmd("HDEL").arg(&place.0).arg(&place.1)).await?,
        }
        Ok(())
    }
}
