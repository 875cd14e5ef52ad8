# Tab completion of attnpred for fish: attnpred completion fish > ~/.config/fish/completions/attnpred.fish
function __attnpred_candidates
    set -l words (commandline -opc)
    $words[1] completion --line=(commandline -cp) 2>/dev/null
end
complete -c attnpred -f -a '(__attnpred_candidates)'
complete -c attnpred -n 'test (count (__attnpred_candidates)) -eq 0' -F
