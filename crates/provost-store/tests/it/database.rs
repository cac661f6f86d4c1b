//! Both databases, each fresh, and the one way every fact is checked on both.

use provost_store::{Store, sqlite_url};
use tempfile::TempDir;

/// A fresh SQLite database in a directory of its own.
pub(crate) struct Sqlite {
    pub(crate) dir: TempDir,
    pub(crate) url: String,
}

impl Sqlite {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let url = sqlite_url(&dir.path().join("provost.db"));
        Self { dir, url }
    }
}

/// Makes a test for SQLite of each fact, and one test that checks them all on one PostgreSQL
/// server, each in a database of its own. A fact is `async fn(url: String)`.
macro_rules! facts {
    ($($fact:ident),* $(,)?) => {
        mod sqlite {
            $(
                #[tokio::test]
                async fn $fact() {
                    let database = crate::database::Sqlite::new();
                    super::$fact(database.url.clone()).await;
                }
            )*
        }

        #[tokio::test]
        async fn postgres() {
            let here = module_path!();
            let Some(server) = crate::postgres::postgres_or_skip(here).await else { return };
            $(
                println!("on PostgreSQL: {}", stringify!($fact));
                $fact(server.create_database().await).await;
            )*
        }
    };
}
pub(crate) use facts;

/// Opens `url`.
pub(crate) async fn open(url: &str) -> Store {
    Store::connect(url).await.unwrap()
}
