# Tab completion of attnpred for bash: source <(attnpred completion bash)
_attnpred() {
    local IFS=$'\n' line=${COMP_LINE:0:COMP_POINT}
    local word=${line##*[[:space:]]} before=""
    COMPREPLY=($("${COMP_WORDS[0]}" completion --line="$line" 2>/dev/null))
    # readline's own word begins behind the last = or :
    if [[ $word == *[=:]* && $COMP_WORDBREAKS == *[=:]* ]]; then
        before=${word%"${word##*[=:]}"}
        COMPREPLY=("${COMPREPLY[@]#"$before"}")
    fi
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./,] ]]; then
        compopt -o nospace
    fi
}
complete -o bashdefault -o default -F _attnpred attnpred
