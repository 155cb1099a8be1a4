# SPDX-License-Identifier: Apache-2.0
"""Multicast DNS (RFC 6762) as far as tests need it, written without a look at the agent's own code: a question, and a
liar who answers every question.

    multicast_dns.py ask NAME TYPE            prints the records of the first answer
    multicast_dns.py lie ADDRESS HASH LOG [PEM]
                                              answers for _swiftlet._tcp.local with ADDRESS, where a server with a
                                              certificate of its own, or the one in PEM, writes what it is sent to LOG
"""

import pathlib
import socket
import ssl
import struct
import subprocess
import sys
import threading

GROUP = ("224.0.0.251", 5353)
TYPES = {"A": 1, "PTR": 12, "TXT": 16, "SRV": 33}


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def read_name(message, place):
    labels = []
    end = None
    while message[place]:
        if message[place] >= 0xC0:
            end = end or place + 2
            place = struct.unpack_from("!H", message, place)[0] & 0x3FFF
            continue
        labels.append(message[place + 1:place + 1 + message[place]].decode())
        place += 1 + message[place]
    return ".".join(labels), end or place + 1


def read_records(message):
    """(name, type, data in words) of every record."""
    questions, *counts = struct.unpack_from("!4H", message, 4)
    place = 12
    for _ in range(questions):
        place = read_name(message, place)[1] + 4
    for _ in range(sum(counts)):
        name, place = read_name(message, place)
        kind, _, _, length = struct.unpack_from("!HHIH", message, place)
        place += 10
        data = message[place:place + length]
        if kind == 1:
            words = socket.inet_ntoa(data)
        elif kind == 12:
            words = read_name(message, place)[0]
        elif kind == 33:
            words = f"{struct.unpack_from('!H', data, 4)[0]} {read_name(message, place + 6)[0]}"
        else:
            words = data[1:].decode(errors="replace")
        yield name, kind, words
        place += length


def ask(name, kind):
    asking = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    asking.settimeout(1)
    question = struct.pack("!6H", 0x4242, 0, 1, 0, 0, 0) + encode_name(name) + struct.pack("!HH", TYPES[kind], 1)
    for _ in range(5):
        asking.sendto(question, GROUP)
        try:
            answer, (_, port) = asking.recvfrom(9000)
        except TimeoutError:
            continue
        assert answer[:2] == b"\x42\x42" and port == 5353, (answer, port)
        for record in read_records(answer):
            print(*record)
        return
    sys.exit("no answer")


def record(name, kind, data):
    return encode_name(name) + struct.pack("!HHIH", kind, 1, 10, len(data)) + data


def lie(address, authority, log, pem=None):
    log = pathlib.Path(log)
    if not pem:
        pem = f"{log}.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=liar", "-addext",
                        f"subjectAltName=IP:{address}", "-keyout", pem, "-out", f"{log}.crt"],
                       check=True, capture_output=True)
        with open(pem, "a") as file:
            file.write(pathlib.Path(f"{log}.crt").read_text())
    threading.Thread(target=pretend, args=(address, log, pem), daemon=True).start()
    name = f"liar-{address.rsplit('.', 1)[1]}"
    service, host = "_swiftlet._tcp.local", f"{name}.local"
    instance = f"{name}.{service}"
    text = f"ca={authority}".encode()
    body = record(service, 12, encode_name(instance))
    body += record(instance, 33, struct.pack("!3H", 0, 0, 16443) + encode_name(host))
    body += record(instance, 16, bytes([len(text)]) + text)
    body += record(host, 1, socket.inet_aton(address))
    # And one on the link that nobody has.
    body += record(host, 1, socket.inet_aton(address.rsplit(".", 1)[0] + ".250"))
    listening = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(GROUP)
    listening.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP,
                         socket.inet_aton(GROUP[0]) + socket.inet_aton(address))
    log.write_text("ready\n")
    while True:
        question, sender = listening.recvfrom(9000)
        answer = question[:2] + struct.pack("!5H", 0x8400, 0, 1, 0, 4) + body
        for message in (answer, b"\xc0\x0c" * 20, answer[:40], question[:2] + answer[2:12] + b"\xc0\x0c" * 30):
            listening.sendto(message, sender)
        with log.open("a") as file:
            file.write("answered\n")


def pretend(address, log, pem):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    context.verify_mode = ssl.CERT_NONE
    server = socket.create_server((address, 16443))
    while True:
        connection, _ = server.accept()
        try:
            connection.settimeout(5)
            with context.wrap_socket(connection, server_side=True) as talk:
                data = talk.recv(100)
                said = f"SENT {data!r}" if data else "refused after the handshake"
        except OSError as error:
            said = f"refused: {error}"
        with log.open("a") as file:
            file.write(f"{said}\n")


if __name__ == "__main__":
    {"ask": ask, "lie": lie}[sys.argv[1]](*sys.argv[2:])
