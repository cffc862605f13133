//! A document database that a test fills itself, and that drctl reaches in place of the copy.

use std::future::Future;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use bson::doc;
use mongodb::Client;
use mongodb::options::{ClientOptions, Credential, ServerAddress};

use super::support::{HEAD, Scratch};

const PASSWORD: &str = "only here";

/// SecantusDB on loopback, with a database `shop` and a user `reader`.
pub(crate) struct Documents {
    pub(crate) port: u16,
    scratch: Scratch,
    server: Option<Child>,
}

impl Documents {
    pub(crate) fn start() -> Self {
        let scratch = Scratch::new();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut documents = Self { port, scratch, server: None };
        std::fs::write(documents.password_file(), PASSWORD).unwrap();
        documents.resume(false);
        documents.fill(|client| async move {
            let user = |name: &str, role| doc! { "createUser": name, "pwd": PASSWORD, "roles": [role] };
            client.database("admin").run_command(user("reader", doc! { "role": "root", "db": "admin" })).await.unwrap();
            let elsewhere = doc! { "role": "read", "db": "elsewhere" };
            client.database("admin").run_command(user("stranger", elsewhere)).await.unwrap();
        });
        documents.halt();
        documents.resume(true);
        documents
    }

    pub(crate) fn password_file(&self) -> PathBuf {
        self.scratch.0.join("password")
    }

    fn data(&self) -> PathBuf {
        self.scratch.0.join("data")
    }

    fn resume(&mut self, auth: bool) {
        let log = std::fs::File::create(self.scratch.0.join("log")).unwrap();
        let mut command = Command::new(".venv/bin/secantusd-py");
        command.args(["--host", "127.0.0.1", "--port", &self.port.to_string(), "--log-level", "ERROR"]);
        command.args(auth.then_some("--auth")).arg("--storage-path").arg(self.data());
        self.server = Some(command.stdout(Stdio::null()).stderr(log).spawn().unwrap());
        for _ in 0..600 {
            if TcpStream::connect(("127.0.0.1", self.port)).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("the server did not start: {}", std::fs::read_to_string(self.scratch.0.join("log")).unwrap());
    }

    fn halt(&mut self) {
        if let Some(mut server) = self.server.take() {
            let _ = Command::new("kill").args(["-TERM", &server.id().to_string()]).status();
            let _ = server.wait();
        }
    }

    /// Works on the database as its master user.
    pub(crate) fn fill<F: Future<Output = ()>>(&self, work: impl FnOnce(Client) -> F) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let address = ServerAddress::Tcp { host: "127.0.0.1".to_owned(), port: Some(self.port) };
            let mut options = ClientOptions::builder().hosts(vec![address]).direct_connection(true).build();
            // Before there is a user nobody can log in.
            let anonymous = Client::with_options(options.clone()).unwrap();
            let open = anonymous.database("admin").run_command(doc! { "usersInfo": 1 }).await.is_ok();
            if !open {
                let credential = Credential::builder().username("reader".to_owned()).password(PASSWORD.to_owned());
                options.credential = Some(credential.source("admin".to_owned()).build());
            }
            work(Client::with_options(options).unwrap()).await;
        });
    }

    /// Takes entries out of an index of a stopped database's files, as damage does; SecantusDB's own code writes them.
    pub(crate) fn lose_index_entries(&mut self, collection: &str, count: usize) {
        const SCRIPT: &str = "import sys\n\
            from secantus.storage import Storage, _IDX_ENTRIES_TABLE as table\n\
            storage = Storage(sys.argv[1])\n\
            entries = storage._collect_prefix(table, ('shop', sys.argv[2]))\n\
            storage._delete_keys(table, [key for key, _ in entries[: int(sys.argv[3])]])\n\
            storage.close()\n";
        self.halt();
        let mut python = Command::new(".venv/bin/python");
        python.args(["-c", SCRIPT]).arg(self.data()).args([collection, &count.to_string()]);
        assert!(python.status().unwrap().success());
        self.resume(true);
    }

    /// An estate whose copy is reached at `port` and entered as `user`.
    pub(crate) fn estate(&self, port: u16, user: &str, checks: &str) -> String {
        let password = self.password_file();
        format!(
            "{HEAD}\n[[database]]\nid = \"shop-docs\"\nkind = \"documentdb\"\nretention = \"7d\"\n\
             [database.restore_test]\ndatabase = \"shop\"\nusername = \"{user}\"\npassword = \"file:{}\"\n\
             connect = \"127.0.0.1:{port}\"\ntls = \"off\"\n{checks}",
            password.display()
        )
    }
}

impl Drop for Documents {
    fn drop(&mut self) {
        self.halt();
    }
}

/// Forwards connections to a port; what the server answers, message by message, passes through `change` first.
pub(crate) fn forward(to: u16, change: impl Fn(&mut Vec<u8>) + Send + Sync + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let change = Arc::new(change);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            let (mut client_in, mut server_out) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut client_in, &mut server_out);
                let _ = server_out.shutdown(std::net::Shutdown::Both);
            });
            let change = Arc::clone(&change);
            std::thread::spawn(move || answer(client, server, change.as_ref()));
        }
    });
    port
}

/// Each message begins with its length (the wire protocol's header).
fn answer(mut client: TcpStream, mut server: TcpStream, change: &dyn Fn(&mut Vec<u8>)) {
    let mut length = [0; 4];
    while server.read_exact(&mut length).is_ok() {
        let mut message = vec![0; usize::try_from(i32::from_le_bytes(length)).unwrap()];
        message[..4].copy_from_slice(&length);
        if server.read_exact(&mut message[4..]).is_err() {
            break;
        }
        change(&mut message);
        if client.write_all(&message).is_err() {
            break;
        }
    }
    let _ = client.shutdown(std::net::Shutdown::Both);
}

/// Forwards bytes as they are, as a tunnel does.
pub(crate) fn tunnel(to: u16) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            for (mut from, mut to) in [(client.try_clone().unwrap(), server.try_clone().unwrap()), (server, client)] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}
