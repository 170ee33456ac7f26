//! `emrys completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::arguments::Cli;
use crate::console;
use crate::failure::Result;

/// Print the completions of a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  emrys completions bash > ~/.local/share/bash-completion/completions/emrys
  emrys completions zsh > ~/.zfunc/_emrys
  emrys completions fish > ~/.config/fish/completions/emrys.fish")]
pub(crate) struct Completions {
    shell: Shell,
}

impl Completions {
    pub(crate) fn run(self) -> Result<()> {
        let mut text = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "emrys", &mut text);
        console::print(&String::from_utf8_lossy(&text))
    }
}
