# SPDX-License-Identifier: MIT
#
# pki.bash - for bats scripts that speak TLS: keys and certificates in the directory $pki, by openssl.
# `load support/live` comes first, then make_ca.

# make_ca [NAME]: $pki/NAME.crt signs the others.
make_ca() {
    pki=$scratch/pki
    mkdir -p "$pki"
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 \
        -subj "/CN=${1-ca}" -keyout "$pki/${1-ca}.key" -out "$pki/${1-ca}.crt" 2>/dev/null
}

# make_certificate NAME [SUBJECT [CA]]: $pki/NAME.crt and .key, of localhost and its addresses.
make_certificate() {
    local ca=$pki/${3-ca}
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=${2-$1}" \
        -keyout "$pki/$1.key" -out "$pki/$1.csr" 2>/dev/null
    openssl x509 -req -in "$pki/$1.csr" -CA "$ca.crt" -CAkey "$ca.key" -CAcreateserial -days 30 \
        -extfile <(echo "subjectAltName=DNS:localhost,DNS:${2-$1},IP:127.0.0.1,IP:::1") \
        -out "$pki/$1.crt" 2>/dev/null
}

# The serial number of a certificate; of the one that a server at an address shows.
serial_of() {
    openssl x509 -in "$1" -noout -serial
}

serial_at() {
    openssl s_client -connect "$1" </dev/null 2>/dev/null | openssl x509 -noout -serial
}
