#compdef attnpred
# Tab completion of attnpred for zsh: source <(attnpred completion zsh)
_attnpred() {
    local line="${(j: :)${(@)words[1,CURRENT]}}"
    local -a found=("${(@f)$(${words[1]} completion --line="$line" 2>/dev/null)}")
    found=(${found:#})
    if (( ! $#found )); then
        compset -P '*[=,]'  # a path may be the value of an option
        _files
        return
    fi
    local -a open=(${(M)found:#*[=./,]}) whole=(${found:#*[=./,]})
    (( $#open )) && compadd -Q -S '' -a open
    (( $#whole )) && compadd -Q -a whole
    return 0
}
compdef _attnpred attnpred
