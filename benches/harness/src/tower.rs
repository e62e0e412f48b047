//! The stores of tower-sessions. Peers use two versions of its core side by side, hence a macro.

/// Defines `Tower`, a [`Library`](crate::Library) on any store of the tower-sessions core of this path.
///
/// Create, get, update and delete are calls of the store; a request and a rework go through `Session`, as handlers do.
#[macro_export]
macro_rules! tower_library {
    ($core:ident) => {
        /// A store of tower-sessions.
        pub(crate) struct Tower<S> {
            about: $crate::About,
            store: std::sync::Arc<S>,
        }

        impl<S> Tower<S> {
            pub(crate) fn new(about: $crate::About, store: S) -> Self {
                Self {
                    about,
                    store: std::sync::Arc::new(store),
                }
            }
        }

        std::thread_local! {
            /// Records to use again: an application has its data at hand.
            static RECORDS: std::cell::RefCell<Vec<$core::session::Record>> = const { std::cell::RefCell::new(Vec::new()) };
        }

        fn record(id: $core::session::Id) -> $core::session::Record {
            let expiry_date = time::OffsetDateTime::now_utc() + time::Duration::hours(1);
            match RECORDS.with_borrow_mut(Vec::pop) {
                Some(record) => $core::session::Record { id, expiry_date, ..record },
                None => {
                    let data = $crate::fields().into_iter().collect();
                    $core::session::Record { id, data, expiry_date }
                }
            }
        }

        impl<S: $core::SessionStore> $crate::Library for Tower<S> {
            type Id = $core::session::Id;

            fn about(&self) -> $crate::About {
                self.about.clone()
            }

            fn does(&self, operation: $crate::Operation) -> bool {
                operation != $crate::Operation::List
            }

            async fn create(&self, _: usize) -> Result<Self::Id, $crate::Failure> {
                let mut record = record($core::session::Id::default());
                self.store.create(&mut record).await?;
                let id = record.id;
                RECORDS.with_borrow_mut(|records| records.push(record));
                Ok(id)
            }

            async fn run(&self, operation: $crate::Operation, id: &mut Self::Id) -> Result<(), $crate::Failure> {
                use $crate::Operation;
                match operation {
                    Operation::Create | Operation::List => return Err("there is no such operation".into()),
                    Operation::Get | Operation::Read => drop(self.store.load(id).await?.ok_or("lost")?),
                    Operation::Update => {
                        let record = record(*id);
                        self.store.save(&record).await?;
                        RECORDS.with_borrow_mut(|records| records.push(record));
                    }
                    Operation::Request => {
                        let session = $core::Session::new(Some(*id), std::sync::Arc::clone(&self.store) as _, None);
                        let visits: u64 = session.get("visits").await?.ok_or("lost")?;
                        session.insert("visits", visits + 1).await?;
                        session.save().await?;
                    }
                    Operation::Rework => {
                        let session = $core::Session::new(Some(*id), std::sync::Arc::clone(&self.store) as _, None);
                        session.cycle_id().await?;
                        session.save().await?;
                        *id = session.id().ok_or("no id")?;
                    }
                    Operation::Delete => self.store.delete(id).await?,
                }
                Ok(())
            }
        }
    };
}
