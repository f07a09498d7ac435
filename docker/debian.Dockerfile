# A Debian base for machines that reach a package mirror but no registry.
#
#   debootstrap --variant=minbase --include=ca-certificates,git,python3,python3-pytest bookworm rootfs
#   tar -C rootfs -cf rootfs.tar .
#   docker build -f docker/debian.Dockerfile -t swe-router/debian:bookworm --build-arg ROOTFS=rootfs.tar .
#
# It serves as BASE of demo.Dockerfile:  --build-arg BASE=swe-router/debian:bookworm
FROM scratch
ARG ROOTFS=rootfs.tar
ADD ${ROOTFS} /
ENV LANG=C.UTF-8 TZ=UTC PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
CMD ["/bin/bash"]
