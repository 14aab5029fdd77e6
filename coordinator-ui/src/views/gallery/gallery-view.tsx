/** What was made. */
export default function GalleryView() {
  return <div className="page" />
}
