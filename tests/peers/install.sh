#!/usr/bin/env bash
# Installs Debian's DICOM peers for the tests and keeps their services from starting. Needs root (or sudo).
# With the argument "viewer": also what `make viewer` needs, a browser among it.
set -euo pipefail
packages=(orthanc orthanc-dicomweb dcmtk ffmpeg dicom3tools libpixelmed-java default-jre-headless postgresql strace iproute2 e2fsprogs faketime
  tesseract-ocr tesseract-ocr-chi-sim)
if [[ ${1:-} == viewer ]]; then
  packages+=(chromium)
  # a node of another origin brings its own npm
  command -v npm >/dev/null || packages+=(npm)
fi
missing=()
for package in "${packages[@]}"; do
  dpkg-query --show --showformat='${Status}' "$package" 2>/dev/null | grep -q 'install ok installed' || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  echo "peers: all installed"
  exit 0
fi
echo "peers: installing ${missing[*]}"
as_root=()
((EUID == 0)) || as_root=(sudo)
policy=/usr/sbin/policy-rc.d
made_policy=no
if [[ ! -e $policy ]]; then
  # 101: "action not allowed"; invoke-rc.d then leaves services of packages being installed alone
  printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
  "${as_root[@]}" chmod +x "$policy"
  made_policy=yes
fi
trap '[[ $made_policy == no ]] || "${as_root[@]}" rm -f "$policy"' EXIT
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
